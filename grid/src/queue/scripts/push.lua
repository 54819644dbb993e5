-- Adds entries to a job's stream and rings.
-- KEYS: stream, queued cost, bell. ARGV: entries.
if redis.call('EXISTS', KEYS[1]) == 0 then
  -- XADD would make a stream without the group that workers read.
  return redis.error_reply('NOGROUP the stream was not opened')
end
local micros = 0
for i = 1, #ARGV do
  redis.call('XADD', KEYS[1], '*', 'e', ARGV[i])
  micros = micros + math.min(tonumber(string.match(ARGV[i], '%d+$')), 1e12)
end
redis.call('INCRBY', KEYS[2], string.format('%.0f', micros))
redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'b', '')
return #ARGV
