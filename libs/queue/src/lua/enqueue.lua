-- Adds the tasks of one environment that the queue does not have yet.
-- KEYS: stream, index, set of environments. ARGV: group, environment, task ids (16 bytes each, at most 1000).
-- Answers how many were new.
local stream, index, environments = KEYS[1], KEYS[2], KEYS[3]
local group, environment, packed = ARGV[1], ARGV[2], ARGV[3]

local tasks = {}
for at = 1, #packed, 16 do tasks[#tasks + 1] = string.sub(packed, at, at + 15) end
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
    fresh[#fresh + 1] = redis.call('XADD', stream, '*', 't', task)
  end
end
if #fresh > 0 then
  redis.call('HSET', index, unpack(fresh))
  redis.call('SADD', environments, environment)
end
return #fresh / 2
