-- Adds a job behind the open ones; one that is open keeps its place.
-- KEYS: open jobs. ARGV: job.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] or 0
  redis.call('ZADD', KEYS[1], string.format('%.0f', last + 1), ARGV[1])
end
return 0
