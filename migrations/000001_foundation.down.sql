begin;

set local role rampkeeper_owner;
drop schema core cascade;

set local role rampkeeper_audit_owner;
drop schema audit cascade;

commit;
