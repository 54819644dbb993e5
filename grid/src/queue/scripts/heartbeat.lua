-- Resets the idle time of entries that the incarnation still has; returns the others. No delivery is counted.
-- KEYS: stream, holders. ARGV: consumer, nonce, entries.
local lost = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  if redis.call('HGET', KEYS[2], id) ~= ARGV[2] or #redis.call('XCLAIM', KEYS[1], 'bt', ARGV[1], 0, id, 'JUSTID') == 0 then
    lost[#lost + 1] = id
  end
end
return lost
