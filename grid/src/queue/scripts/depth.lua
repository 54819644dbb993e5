-- How much waits, how long the oldest has, and the last ring: queued, pending, queued cost, milliseconds or -1, ring.
-- KEYS: stream, queued cost, bell; of a lane also times of owners with entries, start of the names of their lists.
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
local group = {}
-- No stream is an error, no group an empty list; both are gone.
if not groups.err and groups[1] then
  for i = 1, #groups[1], 2 do
    group[groups[1][i]] = groups[1][i + 1]
  end
else
  return redis.error_reply('NOGROUP the stream was not opened')
end
-- Acknowledged entries are deleted, so what is not pending was never handed out.
local pending = group['pending']
local queued = redis.call('XLEN', KEYS[1]) - pending
local since = nil
if queued > 0 then
  local first = redis.call('XRANGE', KEYS[1], '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
  since = first and tonumber(string.match(first[1], '^%d+'))
end
if KEYS[4] then
  for _, owner in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    local list = KEYS[5] .. owner
    queued = queued + redis.call('LLEN', list)
    local pushed = tonumber(string.match(redis.call('LINDEX', list, 0), '^%d+'))
    since = math.min(since or pushed, pushed)
  end
end
local age = -1
if since then
  local time = redis.call('TIME')
  age = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - since)
end
local ring = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
return { queued, pending, tonumber(redis.call('GET', KEYS[2]) or 0), age, ring and ring[1] or '0-0' }
