-- Makes entries that the incarnation still has look idle for an hour, counts that they were handed back, and rings; returns
-- the others.
-- KEYS: stream, holders, bell. ARGV: consumer, nonce, entries.
local ids = { unpack(ARGV, 3) }
local lost = {}
for i, nonce in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
  if nonce == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], 'bt', ARGV[1], 0, ids[i], 'IDLE', 3600000, 'JUSTID')
    redis.call('HDEL', KEYS[2], ids[i])
    redis.call('HINCRBY', KEYS[2], ids[i] .. ':returned', 1)
  else
    lost[#lost + 1] = ids[i]
  end
end
if #lost < #ids then
  redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'b', '')
end
return lost
