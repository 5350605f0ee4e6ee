-- Adds up what deletions left behind in segments, and gives up those in which nothing lives any more: their
-- objects are deleted by whoever sweeps next. Segments that somebody holds are left for the next time. Returns how
-- many were emptied.
create or replace function free_segments(at_most integer) returns integer language plpgsql as $$
declare
  emptied integer;
begin
  with free as materialized (
    select g.segment_key
    from segments g
    where g.segment_key in (select f.segment_key from freed_bytes f order by f.freed_key limit at_most)
    order by g.segment_key
    for no key update skip locked
  ), taken as (
    delete from freed_bytes f
    using free
    where f.segment_key = free.segment_key
    returning f.segment_key, f.byte_length
  )
  update segments g
  set
    dead_bytes = g.dead_bytes + s.bytes, dead_since = coalesce(g.dead_since, clock_timestamp())
  from (select segment_key, sum(byte_length)::bigint as bytes from taken group by segment_key) s
  where g.segment_key = s.segment_key;
  -- Of a transfer that was rewritten the row may be gone; then there is nothing to add to.
  delete from freed_bytes f where not exists (select from segments g where g.segment_key = f.segment_key);

  with empty as materialized (
    select g.segment_key
    from segments g
    where g.dead_bytes > 0
    and g.dead_bytes >= g.byte_length
    and g.state = 'kept'
    and g.appended_by is null
    order by g.segment_key
    limit at_most
    for update skip locked
  )
  update segments g
  set state = 'emptied'
  from empty
  where g.segment_key = empty.segment_key
  and not exists (select from instances i where i.segment_key = g.segment_key);
  get diagnostics emptied = row_count;
  return emptied;
end $$;

-- Takes on one segment that is worth being written again: a quarter of its bytes is dead, or some have been
-- for a day. Makes the row of the segment that it goes to, which is also the claim: there is one at a time.
-- Damaged instances stay where they are, for what is left of them; `except` are those that just failed.
-- Returns no row when there is none.
create or replace function claim_compaction(
  the_segment uuid, lease_seconds double precision, except_keys bigint[]
) returns table (segment_key bigint, segment_id uuid)
language plpgsql as $$
#variable_conflict use_column
declare
  g record;
begin
  select s.segment_key, s.segment_id, s.transfer_id, coalesce(s.origin_key, s.segment_key) as origin
  into g
  from segments s
  where s.dead_bytes > 0
  and s.state = 'kept'
  and s.appended_by is null
  and (s.dead_bytes * 4 >= s.byte_length or s.dead_since < clock_timestamp() - interval '1 day')
  and s.segment_key <> all (except_keys)
  and not exists (select from segments n where n.compacts_key = s.segment_key and n.state = 'open')
  and exists (select from instances i where i.segment_key = s.segment_key and i.damaged_at is null)
  limit 1
  for update of s skip locked;
  if not found then
    return;
  end if;
  insert into segments (segment_id, transfer_id, state, compacts_key, origin_key, lease_until)
  values (
    the_segment, g.transfer_id, 'open', g.segment_key, g.origin,
    clock_timestamp() + make_interval(secs => lease_seconds)
  )
  on conflict do nothing;
  if found then
    segment_key := g.segment_key;
    segment_id := g.segment_id;
    return next;
  end if;
end $$;

-- Moves instances to where they were copied: `places` is [{sop_instance_uid, segment_offset, from_offset}]. What was
-- deleted meanwhile is dead in the new segment, too. The old one is given up when nothing lives in it any more.
-- Returns how many were moved. Raises ST001: the claim is over, for its server did not renew it in time.
create or replace function move_instances(
  the_segment uuid, the_byte_length bigint, places jsonb
) returns integer language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
  n segments;
  moved record;
begin
  perform insist_on_durability();
  select * into n from segments where segment_id = the_segment and state = 'open' for update;
  if not found then
    raise exception 'The compaction was taken away' using errcode = 'ST001';
  end if;
  with here as materialized (
    select i.sop_instance_uid, p.segment_offset
    from jsonb_to_recordset(places) as p (sop_instance_uid text, segment_offset bigint, from_offset bigint)
    join instances i
      on i.sop_instance_uid = p.sop_instance_uid
      and i.segment_key = n.compacts_key
      and i.segment_offset = p.from_offset
    order by i.sop_instance_uid
    for no key update of i
  ), updated as (
    update instances i
    set segment_key = n.segment_key, segment_offset = h.segment_offset
    from here h
    where i.sop_instance_uid = h.sop_instance_uid
    returning i.byte_length + i.metadata_length as stored_bytes
  )
  select count(*)::integer as instances, coalesce(sum(stored_bytes), 0)::bigint as bytes into moved from updated;

  update segments g
  set
    dead_bytes = g.dead_bytes + moved.bytes,
    state = case
      when exists (select from instances i where i.segment_key = g.segment_key) then g.state
      else 'emptied'
    end
  where g.segment_key = n.compacts_key;
  update segments
  set
    state = case when moved.instances = 0 then 'doomed' else 'kept' end, byte_length = the_byte_length,
    dead_bytes = the_byte_length - moved.bytes,
    dead_since = case when the_byte_length > moved.bytes then clock_timestamp() end, lease_until = null,
    compacts_key = null
  where segment_key = n.segment_key;
  return moved.instances;
end $$;

-- Ends the compactions that nobody answers for any more; with `alone` all of them. Returns how many.
create or replace function expire_compactions(alone boolean) returns integer language plpgsql as $$
declare
  expired integer;
begin
  with dead as materialized (
    select segment_key
    from segments
    where compacts_key is not null
    and state = 'open'
    and (alone or lease_until < clock_timestamp())
    for update skip locked
  )
  update segments g set state = 'doomed' from dead where g.segment_key = dead.segment_key;
  get diagnostics expired = row_count;
  return expired;
end $$;
