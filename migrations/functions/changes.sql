-- Gives numbers to changes that are committed. The lock on the one row of `feed` lets one transaction at a
-- time do this, and is held until the numbers are visible: so nobody ever sees a number before a lower one,
-- and none is left out. Returns how many it numbered.
create or replace function number_changes(at_most integer) returns integer
language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
  before bigint;
  numbered integer;
begin
  perform 1 from changes_to_come order by change_key limit 1;
  if not found then
    return 0;
  end if;
  perform insist_on_durability();
  select last_seq into before from feed where only_row = 1 for update;
  -- A new snapshot: what another transaction numbered while we waited is gone from here.
  with taken as (
    delete from changes_to_come
    where change_key in (select c.change_key from changes_to_come c order by c.change_key limit at_most)
    returning *
  )
  insert into changes (
    seq, type, level, study_instance_uid, series_instance_uid, sop_instance_uid, patient_id,
    issuer_of_patient_id, transfer_id, details, at
  )
  select
    before + row_number() over (order by change_key), type, level, study_instance_uid,
    series_instance_uid, sop_instance_uid, patient_id, issuer_of_patient_id, transfer_id, details, at
  from taken;
  get diagnostics numbered = row_count;
  update feed set last_seq = before + numbered where only_row = 1;
  return numbered;
end $$;

-- Removes the oldest changes, `at_most` of them at once: those that are older than `keep_seconds`, as far as
-- every consumer has acknowledged them, and every webhook is past them and has delivered them. Deletions stay.
--
-- It is a piece of the beginning of the feed that goes: who reads from `feed.removed_seq` on misses nothing. The
-- lock lets nobody become a consumer, or a webhook, that begins in what is being removed.
create or replace function remove_old_changes(
  keep_seconds double precision, at_most integer, out removed integer, out has_more boolean
) language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
  before bigint;
  reached bigint;
  too_young bigint;
begin
  removed := 0;
  has_more := false;
  select removed_seq, least(last_seq, removed_seq + at_most)
  into before, reached
  from feed
  where only_row = 1
  for update;
  reached := least(
    reached,
    (select min(acknowledged_seq) from consumers),
    (
      select min(least(w.position_seq, d.oldest - 1))
      from webhooks w
      left join lateral (
        select min(seq) as oldest from webhook_deliveries d where d.webhook_id = w.webhook_id
      ) d on true
    )
  );
  select c.seq
  into too_young
  from changes c
  where c.seq > before
  and c.seq <= reached
  and c.at > clock_timestamp() - make_interval(secs => keep_seconds)
  order by c.seq
  limit 1;
  reached := least(reached, too_young - 1);
  if reached <= before then
    return;
  end if;
  delete from changes where seq > before and seq <= reached and type <> 'deleted';
  get diagnostics removed = row_count;
  update feed set removed_seq = reached where only_row = 1;
  has_more := reached = before + at_most;
end $$;
