-- The pattern of LIKE for a value with the wildcards of DICOM. (PS3.4 C.2.2.2.4)
create or replace function like_pattern(value text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  return translate(regexp_replace(value, '([\\%_])', '\\\1', 'g'), '*?', '%_');
end $$;
