-- Takes entries that nobody had, and writes down which incarnation has them.
-- KEYS: stream, holders, queued cost. ARGV: consumer, nonce, count.
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
