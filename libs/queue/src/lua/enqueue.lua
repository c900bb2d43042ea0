-- Adds the tasks of one environment that the queue does not have yet.
-- KEYS: stream, index, set of environments. ARGV: group, environment, entries (the 16 bytes of a task's id, the 2 of its miner's uid; at
-- most 1000), after how many seconds without another call all of it expires (0 for never).
-- Answers how many were new.
local stream, index, environments = KEYS[1], KEYS[2], KEYS[3]
local group, environment, packed, expiry = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local tasks = {}
for at = 1, #packed, 18 do tasks[#tasks + 1] = string.sub(packed, at, at + 15) end
if #tasks == 0 then return 0 end

local known = {}
if redis.call('EXISTS', index) == 1 then known = redis.call('HMGET', index, unpack(tasks)) end
local added, fresh = {}, {}
for i, task in ipairs(tasks) do
  if not known[i] and not added[task] then
    if #fresh == 0 and redis.call('EXISTS', stream) == 0 then
      redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    end
    added[task] = true
    fresh[#fresh + 1] = task
    fresh[#fresh + 1] = redis.call('XADD', stream, '*', 't', string.sub(packed, i * 18 - 17, i * 18))
  end
end
if #fresh > 0 then
  redis.call('HSET', index, unpack(fresh))
  redis.call('SADD', environments, environment)
end
if expiry > 0 then
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, expiry) end
end
return #fresh / 2
