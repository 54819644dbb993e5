-- Takes over entries that were silent for long enough by the server's clock, and writes down which incarnation has them.
-- Not XAUTOCLAIM: it tells no delivery counts, gives up after ten times COUNT live entries, and before version 7 leaves
-- deleted entries pending forever.
-- KEYS: stream, holders. ARGV: consumer, nonce, idle milliseconds, count.
local silent = redis.pcall('XPENDING', KEYS[1], 'bt', 'IDLE', ARGV[3], '-', '+', ARGV[4])
if silent.err then
  return silent
end
local taken = {}
for _, pending in ipairs(silent) do
  local id, deliveries = pending[1], pending[4]
  local entry = redis.call('XCLAIM', KEYS[1], 'bt', ARGV[1], ARGV[3], id)[1]
  if entry then
    redis.call('HSET', KEYS[2], id, ARGV[2])
    -- All deliveries before this one but those that were handed back.
    local returned = tonumber(redis.call('HGET', KEYS[2], id .. ':returned') or 0)
    taken[#taken + 1] = { id, entry[2][2], deliveries + 1, deliveries - returned }
  else
    redis.call('XACK', KEYS[1], 'bt', id)
    redis.call('HDEL', KEYS[2], id, id .. ':returned')
  end
end
return taken
