-- The pattern of LIKE for a value with the wildcards of DICOM. (PS3.4 C.2.2.2.4)
create or replace function like_pattern(value text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  return translate(regexp_replace(value, '([\\%_])', '\\\1', 'g'), '*?', '%_');
end $$;

-- A date and a time of day (in the form of time_key) as clocks show them in another zone: `20260102101500.000000`.
-- Offsets are of the form +0100. What is not known, or no date, leaves them as they are. (PS3.4 C.2.2.2.5)
create or replace function in_zone(day text, clock text, stored text, wanted text) returns text
language plpgsql immutable parallel safe as $$
begin
  if stored ~ '^[+-]\d{4}$' and length(day) = 8 and length(clock) = 13 then
    return to_char(
      make_timestamp(
        left(day, 4)::int, substr(day, 5, 2)::int, right(day, 2)::int,
        left(clock, 2)::int, substr(clock, 3, 2)::int, substr(clock, 5)::float8)
        + (left(wanted, 3) || ':' || right(wanted, 2))::interval
        - (left(stored, 3) || ':' || right(stored, 2))::interval,
      'YYYYMMDDHH24MISS.US');
  end if;
  return rpad(coalesce(day, ''), 8) || coalesce(clock, '');
exception when data_exception then
  return rpad(coalesce(day, ''), 8) || coalesce(clock, '');
end $$;

-- Several values in one text, as members of a JSON array. (JS-07, JS-14, JS-19)
create or replace function several_values(vr text, value text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  return (
    select string_agg(
      case
        when one = '' or vr = 'PN' and trim(one, '=') = '' then 'null'
        when vr = 'PN' then json_strip_nulls(json_build_object(
          'Alphabetic', nullif(split_part(one, '=', 1), ''),
          'Ideographic', nullif(split_part(one, '=', 2), ''),
          'Phonetic', nullif(split_part(one, '=', 3), '')))::text
        when vr = 'IS' and one ~ '^[+-]?[0-9]{1,12}$' then one::bigint::text
        else to_json(one)::text
      end, ',' order by place)
    from unnest(string_to_array(value, '\')) with ordinality x (text, place)
    cross join rtrim(x.text) one
  );
end $$;

-- The modalities of a study, if one of its series names several.
create or replace function single_modalities(modalities text[]) returns text[]
language plpgsql immutable strict parallel safe as $$
begin
  return array(
    select distinct trim(one)
    from unnest(string_to_array(array_to_string(modalities, '\'), '\')) one
    where trim(one) <> ''
    order by 1
  );
end $$;
