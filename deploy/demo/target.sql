-- The made-up shop that the demo protects: three schemas of one database, and
-- the prepared roles that may be handed out on each. Run by a superuser in
-- the database shop; running it again changes nothing.

do $$
declare
  place text;
  r text;
begin
  foreach place in array array['prod_orders', 'prod_billing', 'staging_orders'] loop
    execute format('create schema if not exists %I', place);
    foreach r in array array['ro_' || place, 'rw_' || place] loop
      if not exists (select from pg_catalog.pg_roles where rolname = r) then
        execute format('create role %I nologin', r);
      end if;
      execute format('grant usage on schema %I to %I', place, r);
    end loop;
  end loop;
end
$$;

create table if not exists prod_orders.orders (
  id bigint primary key,
  customer text not null,
  state text not null,
  total_cents bigint not null
);
insert into prod_orders.orders
select n, 'customer ' || n % 97, (array['paid', 'packed', 'shipped'])[1 + n % 3], n * 37 % 20000
from generate_series(4001, 5000) n
on conflict do nothing;

create table if not exists prod_billing.invoices (
  id bigint primary key,
  order_id bigint not null,
  due date not null
);
insert into prod_billing.invoices
select n, n, date '2026-01-01' + (n % 90)::int
from generate_series(4001, 5000) n
on conflict do nothing;

create table if not exists staging_orders.orders (like prod_orders.orders including all);
insert into staging_orders.orders
select n, 'test customer', 'paid', 100
from generate_series(1, 20) n
on conflict do nothing;

do $$
declare
  place text;
begin
  foreach place in array array['prod_orders', 'prod_billing', 'staging_orders'] loop
    execute format('grant select on all tables in schema %I to %I', place, 'ro_' || place);
    execute format('grant select, insert, update, delete on all tables in schema %I to %I', place, 'rw_' || place);
  end loop;
end
$$;
