// Next wants its bare name, and the repository's compiler the one of the file.
declare module 'next/navigation' {
  export * from 'next/navigation.js'
}
