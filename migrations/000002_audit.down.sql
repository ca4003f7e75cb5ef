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

set local role rampkeeper_owner;

drop function core.require_event();

set local role rampkeeper_audit_owner;

drop function audit.recorded(text, bigint);
drop function audit.append(text, bigint, timestamptz, text, text, text);
drop table audit.event;
drop function audit.refuse_change();

commit;
