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
    taken[#taken + 1] = { id, entry[2][2], deliveries + 1 }
  else
    redis.call('XACK', KEYS[1], 'bt', id)
    redis.call('HDEL', KEYS[2], id)
  end
end
return taken
