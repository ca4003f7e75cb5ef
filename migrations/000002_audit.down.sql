begin;

set local role rampkeeper_audit_owner;

-- Evidence is not thrown away by a command that is typed in a hurry.
do $$
begin
  if exists (select from audit.event) then
    raise exception 'the audit log is not empty: this migration is not undone. To start over, drop the database';
  end if;
end
$$;

drop function audit.recorded(text, bigint);
drop function audit.append(text, bigint, timestamptz, text, text, text);
drop table audit.event;
drop function audit.refuse_change();

set local role rampkeeper_owner;

drop function core.require_state();
drop function core.require_event_of();
drop function core.require_event();
revoke usage on schema core from rampkeeper_audit_owner;

commit;
