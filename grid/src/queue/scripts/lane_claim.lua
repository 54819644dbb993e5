-- Moves the heads of the owners who were served least into the lane's stream, and reads them for the caller.
-- KEYS: stream, holders, queued cost, times of owners with entries, times of owners without, clock,
-- start of the names of the owners' lists. ARGV: consumer, nonce, count.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return redis.error_reply('NOGROUP the stream was not opened')
end
local clock = nil
for _ = 1, tonumber(ARGV[3]) do
  -- Equal times go by name.
  local first = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
  local owner, start = first[1], first[2]
  if not owner then
    break
  end
  local list = KEYS[7] .. owner
  local text = string.match(redis.call('LPOP', list), '^%d+ (.*)$')
  local cost = math.min(math.max(tonumber(string.match(text, '%d+$')), 1), 1e12)
  local finish = string.format('%.17g', tonumber(start) + cost)
  if redis.call('EXISTS', list) == 1 then
    redis.call('ZADD', KEYS[4], finish, owner)
  else
    redis.call('ZREM', KEYS[4], owner)
    redis.call('ZADD', KEYS[5], finish, owner)
  end
  clock = start
  redis.call('XADD', KEYS[1], '*', 'e', text)
end
if redis.call('EXISTS', KEYS[4]) == 0 then
  -- Nobody waits, so nobody owes anybody; starting anew keeps the numbers small.
  redis.call('DEL', KEYS[5], KEYS[6])
elseif clock then
  redis.call('SET', KEYS[6], clock)
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', clock)
end
local reply = redis.pcall('XREADGROUP', 'GROUP', 'bt', ARGV[1], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')
if not reply then
  return {}
end
if reply.err then
  return reply
end
local taken, holders, micros = {}, {}, 0
for i, entry in ipairs(reply[1][2]) do
  local id, text = entry[1], entry[2][2]
  holders[2 * i - 1], holders[2 * i] = id, ARGV[2]
  micros = micros + math.min(tonumber(string.match(text, '%d+$') or 0), 1e12)
  taken[i] = { id, text, 1, 0 }
end
redis.call('HSET', KEYS[2], unpack(holders))
redis.call('DECRBY', KEYS[3], string.format('%.0f', micros))
return taken
