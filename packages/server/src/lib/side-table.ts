/** Values kept beside objects that are not ours, and out of everybody's sight. They live as long as their object. */
export interface SideTable<Key extends object, Value> {
  get(key: Key): Value | undefined
  set(key: Key, value: Value | undefined): void
}

/**
 * For one entry per request. A `WeakMap` does the same, but each of its entries costs the garbage collector over a
 * microsecond; a private field, which any object takes, costs next to nothing.
 */
export function sideTable<Key extends object, Value>(): SideTable<Key, Value> {
  class Holder extends Itself {
    #value: Value | undefined
    static get(key: Key): Value | undefined {
      return #value in key ? key.#value : undefined
    }
    static set(key: Key, value: Value | undefined): void {
      const holder = #value in key ? key : (new Holder(key) as Holder & Key)
      holder.#value = value
    }
  }
  return Holder
}

/** A base class that makes nothing: the fields of a class below it go on the object that is given. */
class Itself {
  constructor(object: object) {
    return object
  }
}
