-- Makes entries that the incarnation still has look idle for an hour, and rings; returns the others.
-- KEYS: stream, holders, bell. ARGV: consumer, nonce, entries.
local lost = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  if redis.call('HGET', KEYS[2], id) == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], 'bt', ARGV[1], 0, id, 'IDLE', 3600000, 'JUSTID')
    redis.call('HDEL', KEYS[2], id)
  else
    lost[#lost + 1] = id
  end
end
if #lost < #ARGV - 2 then
  redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'b', '')
end
return lost
