-- Removes entries that the incarnation still has; returns the others.
-- KEYS: stream, holders. ARGV: nonce, entries.
local ids = { unpack(ARGV, 2) }
local own, lost = {}, {}
for i, nonce in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
  local list = nonce == ARGV[1] and own or lost
  list[#list + 1] = ids[i]
end
if #own > 0 then
  redis.call('XACK', KEYS[1], 'bt', unpack(own))
  redis.call('XDEL', KEYS[1], unpack(own))
  redis.call('HDEL', KEYS[2], unpack(own))
end
return lost
