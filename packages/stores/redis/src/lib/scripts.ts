/** A Lua script and the name that the server knows it by once it has seen it. */
export interface Script {
  readonly text: string
  /** SHA-1 in hexadecimal. */
  name(): Promise<string>
}

// An entry is one string: "version leasedUntil lengthOfMember\n", its member of the index ('' without a queue), its value.
// The index holds one member for each entry that is in a queue: the queue's name as JSON, then due time and order of
// writing with 16 digits each, then the key. Compared byte by byte that is the order of `due`; and as no JSON string
// begins another one, no queue reads in its neighbour's range.
const common = `
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function text(number) return string.format('%.0f', number) end
local function padded(number) return string.format('%016.0f', number) end
local function within(number) return math.max(0, math.min(number, 9000000000000000)) end
local function parse(raw)
  local line = string.find(raw, '\\n', 1, true)
  local version, leased, length = string.match(string.sub(raw, 1, line - 1), '^(%S+) (%d+) (%d+)$')
  local rest = line + tonumber(length)
  return version, tonumber(leased), string.sub(raw, line + 1, rest), string.sub(raw, rest + 1)
end
local now = clock()
`

/**
 * Compare and set. KEYS: entry, index, counter. ARGV: token, expected version, time before which, 'set' or 'delete', key, then
 * of a write: value, ttl, lease (ms, or ''), queue's head (or ''), due in ms.
 */
export const swapScript = script(`${common}
local token, expect, before, verb, key, value, ttl, lease, head, due = unpack(ARGV)
if now >= tonumber(before) then return { 'late', text(now) } end

local raw = redis.call('GET', KEYS[1])
local version, leased, member, standing
if raw then version, leased, member, standing = parse(raw) end

if raw and string.sub(version, 1, #token) == token then
  -- Our own write, sent again by the client after its connection broke.
  return { 'ok', text(now), version }
end
if (version or 'absent') ~= expect then
  if not raw then return { 'no', text(now) } end
  return { 'no', text(now), version, leased > now and '1' or '0', standing }
end

if verb == 'delete' then
  redis.call('DEL', KEYS[1])
  if raw and member ~= '' then redis.call('ZREM', KEYS[2], member) end
  return { 'ok', text(now), expect }
end

-- A full server refuses the first write that needs memory, and only the first: nothing may be removed before it.
local listed = ''
version = token
if head ~= '' then
  local order = redis.call('INCR', KEYS[3])
  local place = padded(within(math.ceil(now + tonumber(due))))
  version = token .. '.' .. place .. '.' .. text(order)
  listed = head .. place .. padded(order) .. key
end
local held = lease == '' and 0 or within(math.ceil(now + tonumber(lease)))
local entry = version .. ' ' .. text(held) .. ' ' .. #listed .. '\\n' .. listed .. value
if ttl == '' then
  redis.call('SET', KEYS[1], entry)
else
  redis.call('SET', KEYS[1], entry, 'PX', text(math.min(math.ceil(tonumber(ttl)), 9000000000000000 - now)))
end
if raw and member ~= '' then redis.call('ZREM', KEYS[2], member) end
if listed ~= '' then redis.call('ZADD', KEYS[2], 0, listed) end
return { 'ok', text(now), version }
`)

// Removes nothing. But a replica refuses it, as does a primary that has too few replicas left (min-replicas-to-write).
const primaryOnly = `redis.call('ZREM', KEYS[1], '')`

/**
 * Reads entries. KEYS: index, entries. ARGV: for each entry the member of the index that led to it, or ''. An entry
 * that has left its place since is not shown, and neither is one that has expired; their members are removed.
 */
export const readScript = script(`${common}
${primaryOnly}
local found = {}
for index = 1, #ARGV do
  local raw = redis.call('GET', KEYS[index + 1])
  found[index] = ''
  if raw then
    local version, leased, member, value = parse(raw)
    if ARGV[index] == '' or ARGV[index] == member then
      found[index] = { version, leased > now and '1' or '0', value }
    end
  end
  if found[index] == '' and ARGV[index] ~= '' then redis.call('ZREM', KEYS[1], ARGV[index]) end
end
return { text(now), found }
`)

/** Lists members of the index that are due. KEYS: index. ARGV: queue's head, place to begin with, most. */
export const listScript = script(`${common}
${primaryOnly}
return redis.call('ZRANGEBYLEX', KEYS[1], '[' .. ARGV[1] .. ARGV[2], '(' .. ARGV[1] .. padded(now + 1), 'LIMIT', 0, ARGV[3])
`)

/** What the server says of itself, as far as it may be asked. KEYS: one of ours, so that a cluster asks the right node. */
export const checkScript = script(`
local function told(section)
  local answer = redis.pcall('INFO', section)
  return type(answer) == 'string' and answer or ''
end
return { told('replication'), told('memory'), told('persistence') }
`)

function script(text: string): Script {
  let hash: Promise<string> | undefined
  return {
    text,
    name: () => (hash ??= sha1(text)),
  }
}

async function sha1(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text)))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
