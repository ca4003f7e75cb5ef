-- Roles of a Rampkeeper installation. Run once for each PostgreSQL cluster, by
-- a superuser (or, on a managed service, by the administrator it gives you):
--
--     psql -v ON_ERROR_STOP=1 -f roles.sql
--
-- Running it again changes nothing. Passwords are yours to set, outside of any
-- file: \password rampkeeper_app
--
--   rampkeeper_owner        owns schema core; nobody logs in as it
--   rampkeeper_audit_owner  owns schema audit; nobody logs in as it and nobody
--                           who logs in is a member of it
--   rampkeeper_app          the broker at run time; owns nothing
--   rampkeeper_sealer       signs the audit log; may not write state
--   rampkeeper_auditor      reads everything but secrets, changes nothing
--   rampkeeper_migrator     changes schema core; a migration that touches
--                           schema audit needs who created these roles
--
-- Migrations take the owners' place with "set role", so whoever runs them must
-- be a superuser or be able to do that for both owners. On a managed service
-- the administrator takes the membership for the time of the migration:
--
--     grant rampkeeper_owner, rampkeeper_audit_owner to CURRENT_USER;
--     ... rampkeeper migrate ...
--     revoke rampkeeper_audit_owner from CURRENT_USER;

do $$
declare
  r text;
begin
  foreach r in array array['rampkeeper_owner', 'rampkeeper_audit_owner'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = r) then
      execute pg_catalog.format('create role %I nologin', r);
    end if;
  end loop;
  foreach r in array array['rampkeeper_app', 'rampkeeper_sealer', 'rampkeeper_auditor', 'rampkeeper_migrator'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = r) then
      execute pg_catalog.format('create role %I login noinherit', r);
    end if;
  end loop;
  if not exists (
    select from pg_catalog.pg_auth_members m
    where m.roleid = 'rampkeeper_owner'::regrole and m.member = 'rampkeeper_migrator'::regrole
  ) then
    grant rampkeeper_owner to rampkeeper_migrator;
  end if;
end
$$;

comment on role rampkeeper_owner is 'owns schema core of Rampkeeper; nobody logs in as it';
comment on role rampkeeper_audit_owner is 'owns schema audit of Rampkeeper; nobody logs in as it and nobody who logs in is a member';
comment on role rampkeeper_app is 'the Rampkeeper broker at run time; owns nothing';
comment on role rampkeeper_sealer is 'seals the audit log of Rampkeeper; may not write state';
comment on role rampkeeper_auditor is 'reads the record of Rampkeeper, changes nothing';
comment on role rampkeeper_migrator is 'changes schema core of Rampkeeper';
