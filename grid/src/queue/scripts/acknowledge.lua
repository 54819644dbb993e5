-- Removes entries that the incarnation still has; returns the others.
-- KEYS: stream, holders. ARGV: nonce, entries.
local ids = { unpack(ARGV, 2) }
local own, returns, lost = {}, {}, {}
for i, nonce in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
  if nonce == ARGV[1] then
    own[#own + 1] = ids[i]
    returns[#returns + 1] = ids[i] .. ':returned'
  else
    lost[#lost + 1] = ids[i]
  end
end
if #own > 0 then
  redis.call('XACK', KEYS[1], 'bt', unpack(own))
  redis.call('XDEL', KEYS[1], unpack(own))
  redis.call('HDEL', KEYS[2], unpack(own))
  redis.call('HDEL', KEYS[2], unpack(returns))
end
return lost
