-- Adds entries to what an owner has queued in a lane, and rings.
-- Start-time fair queueing: an owner's place is the virtual time at which its next entry starts.
-- KEYS: stream, queued cost, bell, times of owners with entries, times of owners without, clock, the owner's list.
-- ARGV: owner, entries.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return redis.error_reply('NOGROUP the stream was not opened')
end
local owner = ARGV[1]
local time = redis.call('TIME')
local ms = string.format('%.0f ', time[1] * 1000 + math.floor(time[2] / 1000))
local micros = 0
for i = 2, #ARGV do
  redis.call('RPUSH', KEYS[7], ms .. ARGV[i])
  micros = micros + math.min(tonumber(string.match(ARGV[i], '%d+$')), 1e12)
end
if not redis.call('ZSCORE', KEYS[4], owner) then
  -- Time spent idle is no credit; time used ahead of the others is still owed.
  local clock = tonumber(redis.call('GET', KEYS[6]) or 0)
  local owed = tonumber(redis.call('ZSCORE', KEYS[5], owner) or 0)
  redis.call('ZADD', KEYS[4], string.format('%.17g', math.max(clock, owed)), owner)
  redis.call('ZREM', KEYS[5], owner)
end
redis.call('INCRBY', KEYS[2], string.format('%.0f', micros))
redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'b', '')
return #ARGV - 1
