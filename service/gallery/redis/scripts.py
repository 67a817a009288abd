"""What runs inside Redis, whole or not at all. Each gives the same answer when the client sends it twice, but
TAKE, which then counts twice.

The head of a gallery is a hash: `store` (its id), `version` (how many commits there were), `floor` (the version before
the first entry of the log), `schema`. The log says of each commit what it touched; `requests` which request made each
of the last versions.
"""

# ARGV from `first` on: four for each record: set | del | keep | drop, the number of a key, field, value. A crop that is
# a file is let go of by name: whoever comes first takes that away.
_APPLY = """
local function apply(first, doomed)
  for i = first, #ARGV, 4 do
    local verb, key = ARGV[i], KEYS[tonumber(ARGV[i + 1])]
    if verb == 'set' then redis.call('HSET', key, ARGV[i + 2], ARGV[i + 3])
    elseif verb == 'del' then redis.call('HDEL', key, ARGV[i + 2])
    elseif verb == 'keep' then redis.call('SETNX', key, ARGV[i + 3])
    else
      local file = redis.call('GETRANGE', key, 0, 255)
      if string.sub(file, 1, 5) == 'file:' then redis.call('RPUSH', doomed, file) end
      redis.call('DEL', key)
    end
  end
end
"""

# KEYS: head, doomed, and what is written. ARGV: store, schema, records.
BEGIN = f"""{_APPLY}
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('HGET', KEYS[1], 'store') end
redis.call('HSET', KEYS[1], 'store', ARGV[1], 'schema', ARGV[2], 'version', 1, 'floor', 1)
apply(3, KEYS[2])
return ARGV[1]
"""

# Which request made a version, of the last that `requests` names; false: none of them.
_MADE = """
local function made(requests, newest, version)
  local place = version - newest + redis.call('LLEN', requests) - 1
  return place >= 0 and redis.call('LINDEX', requests, place)
end
"""

# The lowest version that services which were heard of within so many seconds have followed to or, where that is asked
# for, cleaned up to; -1: none was.
_SLOWEST = """
local function slowest(services, within, cleaned)
  local now, lowest = tonumber(redis.call('TIME')[1]), -1
  local all = redis.call('HGETALL', services)
  for i = 2, #all, 2 do
    local clean, at, followed = string.match(all[i], '(%d+) (%d+) ?(%d*)')
    local version = tonumber(cleaned and clean or followed) or tonumber(clean)
    if now - tonumber(at) <= within and (lowest < 0 or version < lowest) then lowest = version end
  end
  return lowest
end
"""

# KEYS: head, log, requests, turn, services, doomed, and what is written. ARGV: store, version, the request that made it
# ('': not known), request, entry ('': nothing is), how many entries to keep, how many at most while a service that was
# heard of within so many seconds has yet to follow them, records. `turn` holds the one request that may be kept for a
# while.
COMMIT = f"""{_APPLY}{_MADE}{_SLOWEST}
local head = redis.call('HMGET', KEYS[1], 'store', 'version', 'floor')
if head[1] ~= ARGV[1] then return 'lost' end
local version, mine = tonumber(head[2]), tonumber(ARGV[2])
if version < mine then return 'lost' end
local before = made(KEYS[3], version, mine)
if before and ARGV[3] ~= '' and before ~= ARGV[3] then return 'lost' end
if version > mine then
  if made(KEYS[3], version, mine + 1) == ARGV[4] then return 'kept' end
  return 'behind'
end
local turn = redis.call('GET', KEYS[4])
if turn == ARGV[4] then redis.call('DEL', KEYS[4]) end
if ARGV[5] == '' then return 'kept' end
if turn and turn ~= ARGV[4] then return 'wait' end
apply(9, KEYS[6])
redis.call('RPUSH', KEYS[2], ARGV[5])
redis.call('RPUSH', KEYS[3], ARGV[4])
redis.call('LTRIM', KEYS[3], -ARGV[6], -1)
redis.call('HINCRBY', KEYS[1], 'version', 1)
local length = redis.call('LLEN', KEYS[2])
local over = length - tonumber(ARGV[6])
if over > 0 then
  local needed = slowest(KEYS[5], tonumber(ARGV[8]), false)
  if needed >= 0 then over = math.min(over, needed - tonumber(head[3])) end
  over = math.max(over, length - tonumber(ARGV[7]))
end
if over > 0 then
  redis.call('LTRIM', KEYS[2], over, -1)
  redis.call('HINCRBY', KEYS[1], 'floor', over)
end
return 'kept'
"""

# KEYS: turn. ARGV: request.
LEAVE_TURN = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 'kept'
"""

# KEYS: head, log, requests. ARGV: version, at most how many entries after it.
NEWS = f"""{_MADE}
local head = redis.call('HMGET', KEYS[1], 'store', 'version', 'floor', 'schema')
if not head[1] then return {{}} end
local newest, mine = tonumber(head[2]), tonumber(ARGV[1])
local first = mine - tonumber(head[3])
local entries = {{}}
if first >= 0 then entries = redis.call('LRANGE', KEYS[2], first, first + tonumber(ARGV[2]) - 1) end
return {{head[1], head[2], head[3], head[4], made(KEYS[3], newest, mine) or '', entries}}
"""

# KEYS: head, services. ARGV: store, home id, the versions it has cleaned up to and followed to, where it is, and for
# how many seconds another place is that of another service. One that was silent for a day is forgotten.
BEAT = """
if redis.call('HGET', KEYS[1], 'store') ~= ARGV[1] then return 'lost' end
local now = tonumber(redis.call('TIME')[1])
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local at, place = string.match(all[i + 1], ' (%d+) ?%d* ?(%x*)')
  local silent = now - tonumber(at)
  if all[i] == ARGV[2] and place ~= '' and place ~= ARGV[5] and silent <= tonumber(ARGV[6]) then return 'taken' end
  if silent > 86400 then redis.call('HDEL', KEYS[2], all[i]) end
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3] .. ' ' .. now .. ' ' .. ARGV[4] .. ' ' .. ARGV[5])
return 'kept'
"""

# KEYS: services. ARGV: home id, where it is. The word of a service elsewhere is its own.
LEAVE = """
local said = redis.call('HGET', KEYS[1], ARGV[1])
if said and string.match(said, '(%x*)$') == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 'kept'
"""

# KEYS: services. ARGV: of how many seconds. The lowest version that those which were heard of since have cleaned up to.
SLOWEST = f"""{_SLOWEST}
return slowest(KEYS[1], tonumber(ARGV[1]), true)
"""

# KEYS: services. ARGV: of how many seconds. The home ids of those that were heard of since.
HEARD = """
local now, heard = tonumber(redis.call('TIME')[1]), {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if now - tonumber(string.match(all[i + 1], ' (%d+)')) <= tonumber(ARGV[1]) then table.insert(heard, all[i]) end
end
return heard
"""

# KEYS: a bucket. ARGV: requests a minute. How many seconds until one is let through; 0: it is, and was counted. A
# bucket that nobody took from for a minute is full, and forgotten.
TAKE = """
local time = redis.call('TIME')
local now, most = tonumber(time[1]) + tonumber(time[2]) / 1e6, tonumber(ARGV[1])
local held = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = most
if held[1] then left = math.min(most, tonumber(held[1]) + math.max(0, now - tonumber(held[2])) * most / 60) end
local wait = 0
if left >= 1 then left = left - 1 else wait = (1 - left) * 60 / most end
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 61)
return string.format('%.6f', wait)
"""

# KEYS: head, log. ARGV: the version up to which the log is to be forgotten.
FORGET = """
local floor = tonumber(redis.call('HGET', KEYS[1], 'floor'))
local over = floor and tonumber(ARGV[1]) - floor or 0
if over > 0 then
  redis.call('LTRIM', KEYS[2], over, -1)
  redis.call('HINCRBY', KEYS[1], 'floor', over)
end
return over
"""
