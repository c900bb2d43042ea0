-- Checks that the keys of an environment belong together, and unlinks them where they do not and that is asked for.
-- Every script leaves them so that: the index names as many entries as the stream has; an entry that was read and is not pending is among
-- the passed over; the set has the environment. Only a loss inside Redis breaks that.
-- KEYS: set of environments, cursors. ARGV: group, prefix of the work streams, of the indexes, of the passed over, environment, 1 to unlink.
-- Answers 0 whole, 1 torn, 2 torn and unlinked now.
local group, name = ARGV[1], ARGV[5]
local stream, index, passed = ARGV[2] .. name, ARGV[3] .. name, ARGV[4] .. name
-- Where more than so many are new, they are not counted: what is missing is found once they are fewer.
local most = 2000

local function torn()
  local length = redis.call('XLEN', stream)
  if length ~= redis.call('HLEN', index) then return true end
  if length == 0 then return false end
  local groups, pending, last, lag = redis.call('XINFO', 'GROUPS', stream), 0, '0-0', nil
  -- The next lease creates the group, and everything is new.
  if #groups == 0 then return false end
  for field = 1, #groups[1], 2 do
    if groups[1][field] == 'pending' then pending = groups[1][field + 1] end
    if groups[1][field] == 'last-delivered-id' then last = groups[1][field + 1] end
    if groups[1][field] == 'lag' then lag = groups[1][field + 1] end
  end
  local read = length - pending - redis.call('ZCARD', passed)
  -- So many have to be new. The lag says how many are, but Redis does not always know it, nor rightly.
  if read <= 0 or lag == read then return false end
  return read <= most and #redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', read) < read
end

if not torn() then
  if redis.call('EXISTS', stream) == 1 then redis.call('SADD', KEYS[1], name) end
  return 0
end
if ARGV[6] ~= '1' then return 1 end
redis.call('UNLINK', stream, index, passed)
redis.call('SREM', KEYS[1], name)
redis.call('HDEL', KEYS[2], name, 'passed:' .. name)
return 2
