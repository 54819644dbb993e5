-- Removes entries that the incarnation still has; returns the others.
-- KEYS: stream, holders. ARGV: nonce, entries.
local lost = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  if redis.call('HGET', KEYS[2], id) == ARGV[1] then
    redis.call('XACK', KEYS[1], 'bt', id)
    redis.call('XDEL', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
  else
    lost[#lost + 1] = id
  end
end
return lost
