-- Resets the idle time of entries that the incarnation still has; returns the others. No delivery is counted.
-- KEYS: stream, holders. ARGV: consumer, nonce, entries.
local ids = { unpack(ARGV, 3) }
local own, is_kept, lost = {}, {}, {}
for i, nonce in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
  if nonce == ARGV[2] then
    own[#own + 1] = ids[i]
  end
end
if #own > 0 then
  own[#own + 1] = 'JUSTID'
  for _, id in ipairs(redis.call('XCLAIM', KEYS[1], 'bt', ARGV[1], 0, unpack(own))) do
    is_kept[id] = true
  end
end
for _, id in ipairs(ids) do
  if not is_kept[id] then
    lost[#lost + 1] = id
  end
end
return lost
