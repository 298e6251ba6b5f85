-- What else has happened, for the KPIs of the funnel's first four stages? Read between the bookings of truth.sql and their sums.

create or replace macro rough(ms) as (ms >> greatest(0, length(bin(ms)) - 5)) << greatest(0, length(bin(ms)) - 5);
create or replace macro by_web(d) as [
    {'dim': 'total', 'seg': ''}, {'dim': 'source', 'seg': d.source}, {'dim': 'campaign', 'seg': d.campaign}];

-- == Deals: what is told of some only, as last known ==
create or replace table deal_more as
select k, subject,
    last(said(data, 'reason') order by t, id) filter (said(data, 'reason') is not null) as reason,
    money(last(said(data, 'list_amount') order by t, id) filter (said(data, 'list_amount') is not null)) as listed,
    last(said(data, 'sale') order by t, id) filter (said(data, 'sale') is not null) as sale,
    epoch_ms(cast(nullif(last(said(data, 'lead_created_at') order by t, id) filter (said(data, 'lead_created_at') is not null), '')
        as timestamptz)) as lead_created,
    first(nullif(said(data, 'owner'), '') order by t, id) filter (nullif(said(data, 'owner'), '') is not null) as begun_by,
    first(nullif(said(data, 'team'), '') order by t, id) filter (nullif(said(data, 'team'), '') is not null) as begun_in
from fact anti join gone using (k, family, subject) where family = 'deal' group by k, subject;

create or replace table closed_more as select * from closed_deal join deal_more using (k, subject);

-- The first win of a deal that did not last (lost or opened again within 90 days), unless it has been won since: credited as it was.
create or replace table cancelled_deal as
with step as (
    select *, lead(status) over w as turned, lead(t) over w as turned_at
    from deal_fact window w as (partition by k, subject order by t, id)
), broken as (
    from step where status = 'won' and turned <> 'won' and turned_at - closed between 0 and 90 * 86400000::bigint
    qualify row_number() over (partition by k, subject order by t, id) = 1
), now as (
    from deal_fact qualify row_number() over (partition by k, subject order by t desc, id desc) = 1
)
select broken.k, broken.subject, broken.closed,
    coalesce(nullif(broken.owner_then, ''), broken.owner) as owner, coalesce(nullif(broken.team_then, ''), broken.team) as team,
    broken.source, broken.campaign, broken.product, broken.region, broken.segment, broken.variant
from broken join now using (k, subject) where now.status <> 'won';

insert into booking
select k, 'cancelled', closed, dim.dim, dim.seg, 1 from cancelled_deal d, unnest(by_deal(d)) as dims(dim)
union all
select k, measure.name, closed, dim.dim, dim.seg, measure.n
from closed_more d, unnest(by_deal(d)) as dims(dim), unnest([
    {'name': 'close_millis', 'n': case when created <= closed then closed - created end},
    {'name': 'close_known', 'n': case when created <= closed then 1 end},
    {'name': 'lead_cycle_millis', 'n': case when status = 'won' and lead_created <= closed then closed - lead_created end},
    {'name': 'lead_cycles', 'n': case when status = 'won' and lead_created <= closed then 1 end},
    {'name': 'list_amount', 'n': case when status = 'won' and amount >= 0 and listed > 0 then listed end},
    {'name': 'listed_amount', 'n': case when status = 'won' and amount >= 0 and listed > 0 then amount end},
    {'name': 'listed', 'n': case when status = 'won' and amount >= 0 and listed > 0 then 1 end},
    {'name': 'below_list', 'n': case when status = 'won' and amount >= 0 and listed > 0 then (amount < listed)::int end},
    {'name': 'told', 'n': case when status = 'won' and sale <> '' then 1 end},
    {'name': 'cross_sold', 'n': case when status = 'won' then (sale = 'cross_sell')::int end},
    {'name': 'upsold', 'n': case when status = 'won' then (sale = 'upsell')::int end}]) as measures(measure)
union all
select k, measure.name, closed, dim.dim, dim.seg, measure.n
from closed_more d, unnest([{'dim': 'total', 'seg': ''}, {'dim': 'reason', 'seg': reason}]) as dims(dim),
    unnest([{'name': 'losses', 'n': 1}, {'name': 'loss_amount', 'n': amount}]) as measures(measure)
where status = 'lost'
union all
select k, measure.name, t, dim.dim, dim.seg, measure.n
from (select *, data ->> '$.owner' as owner, data ->> '$.kind' as what from known where family = 'deal' and kind = 'activity') d,
    unnest([{'dim': 'total', 'seg': ''}, {'dim': 'owner', 'seg': owner}]) as dims(dim), unnest([
    {'name': 'activities', 'n': 1}, {'name': 'meetings', 'n': (what in ('meeting', 'demo'))::int},
    {'name': 'signatures', 'n': (what = 'signature')::int}]) as measures(measure);

-- == Stays in stages, and what became of them. No pipeline is declared: a stage in which the deal has not been is a later one. ==
create or replace table stay as
with step as (
    select *, (place is distinct from lag(place) over w or status is distinct from lag(status) over w)::int as moves
    from deal_fact window w as (partition by k, subject order by t, id)
), numbered as (
    select *, sum(moves) over (partition by k, subject order by t, id rows unbounded preceding) as visit from step
), whole as (
    select k, subject, visit, place, any_value(status) as status, min(t) as entered from numbered group by all
), seen as (
    select *, place is not null and row_number() over (partition by k, subject, place order by visit) > 1 as again from whole
)
select *, lead(entered) over w as left_, lead(place) over w as next_place, lead(status) over w as next_status, lead(again) over w as back
from seen window w as (partition by k, subject order by visit)
qualify status = 'open';

insert into booking
select k, measure.name, entered, dim.dim, dim.seg, measure.n
from stay, unnest([{'dim': 'total', 'seg': ''}, {'dim': 'stage', 'seg': place}]) as dims(dim), unnest([
    {'name': 'stage_repeated', 'n': again::int},
    {'name': 'stage_ended', 'n': (left_ is not null)::int},
    {'name': 'stage_advanced', 'n': (next_status = 'won' or (next_status = 'open' and next_place is not null and not back))::int},
    {'name': 'stage_back', 'n': (next_status = 'open' and next_place is not null and back)::int}]) as measures(measure)
where place is not null;

-- == Leads ==
create or replace table lead_more as
select k, subject,
    cast(round(cast(nullif(last(said(data, 'score') order by t, id) filter (said(data, 'score') is not null), '') as double) * 100)
        as bigint) as score,
    last(nullif(said(data, 'reason'), '') order by t, id) filter (said(data, 'reason') is not null) as reason,
    count(*) filter (kind = 'contact_attempted' and place > born_at and place < coalesce(reached_at, place + 1))
        + (min(reached_at) is not null)::int as attempts,
    first(cast(data ->> '$.preparation_seconds' as double) order by t, id) filter (kind = 'contacted' and t >= born - 86400000) as prepared,
    first(coalesce(data ->> '$.deal_id', '') <> '' or coalesce(data ->> '$.account_id', '') = '' order by t, id)
        filter (kind = 'converted') as to_deal,
    max(case when kind = 'qualified' then case when data ->> '$.level' = 'sql' then 2 else 1 end end) as level,
    last(json_type(data, '$.bant.budget') <> 'NULL' order by t, id) filter (json_type(data, '$.bant.budget') is not null)
        and last(json_type(data, '$.bant.authority') <> 'NULL' order by t, id) filter (json_type(data, '$.bant.authority') is not null)
        and last(json_type(data, '$.bant.need') <> 'NULL' order by t, id) filter (json_type(data, '$.bant.need') is not null)
        and last(json_type(data, '$.bant.timing') <> 'NULL' order by t, id) filter (json_type(data, '$.bant.timing') is not null) as bant
from (select *, min(place) filter (kind = 'created') over w as born_at,
        min(place) filter (kind = 'contacted' and t >= born - 86400000) over w as reached_at
    from (select *, min(t) filter (kind = 'created') over (partition by k, subject) as born,
            row_number() over (partition by k, subject order by t, id) as place from fact where family = 'lead')
    window w as (partition by k, subject)) anti join gone using (k, family, subject) group by k, subject;

insert into booking
select k, measure.name, measure.t, dim.dim, dim.seg, measure.n
from (select *, coalesce(contacted, converted) as answered, created + 3600000 as due from lead_ join lead_more using (k, subject)) d,
    unnest(by_deal(d)) as dims(dim), unnest([
    {'name': 'sql', 't': created, 'n': (level = 2)::int},
    {'name': 'scored', 't': created, 'n': (score is not null)::int}, {'name': 'scores', 't': created, 'n': score},
    {'name': 'converted_scored', 't': converted, 'n': (score is not null)::int}, {'name': 'converted_scores', 't': converted, 'n': score},
    {'name': 'bant', 't': created, 'n': coalesce(bant, false)::int},
    {'name': 'to_deal', 't': created, 'n': coalesce(to_deal, false)::int},
    {'name': 'disqualified', 't': created, 'n': (disqualified and converted is null)::int},
    {'name': 'due', 't': due, 'n': case when answered is not null or not disqualified then 1 end},
    {'name': 'in_time', 't': due, 'n': (answered <= due)::int},
    {'name': 'prepared', 't': created, 'n': (prepared is not null)::int},
    {'name': 'preparation', 't': created, 'n': cast(round(prepared * 1000) as bigint)},
    {'name': 'attempts', 't': created, 'n': attempts}]) as measures(measure)
where created is not null or measure.name like 'converted%'
union all
select k, 'disqualified', created, 'reason', reason, 1 from lead_ join lead_more using (k, subject)
where disqualified and converted is null and created is not null and reason is not null;

-- == Visits, page by page and form by form ==
create or replace table hit as
with told as (
    select k, subject, t, id, kind, t + cast(round(coalesce(cast(data ->> '$.duration_seconds' as double), 0) * 1000) as bigint) as until,
        coalesce(data ->> '$.session_id', '') as name, nullif(data ->> '$.source', '') as source, nullif(data ->> '$.campaign', '') as campaign,
        left(regexp_replace(coalesce(data ->> '$.page', ''), '[?#].*', ''), 120) as page, coalesce(data ->> '$.form', '') as form
    from known where family = 'web' and kind <> 'identified'
), apart as (
    select *, case when name <> '' then 0 else
        (t > coalesce(max(until) over earlier, -1) + (select session_gap from setting))::int end as new
    from told window earlier as (partition by k, subject, name order by t, id rows between unbounded preceding and 1 preceding)
)
select *, sum(new) over (partition by k, subject, name order by t, id rows unbounded preceding) as number from apart;

create or replace table form_use as
select k, subject, name, number, form, bool_or(kind in ('form_started', 'form_abandoned')) as begun, bool_or(kind = 'form_submitted') as sent
from hit where kind in ('form_started', 'form_abandoned', 'form_submitted') group by all;

insert into booking
select k, measure.name, t, dim.dim, dim.seg, measure.n
from (
    select visit.*, coalesce(begun, 0) as begun, coalesce(left_, 0) as left_ from visit left join (
        select k, subject, name, number, count(*) filter (begun) as begun, count(*) filter (begun and not sent) as left_
        from form_use group by all) using (k, subject, name, number)
) d, unnest(by_web(d)) as dims(dim), unnest([
    {'name': 'session_pages', 'n': pages}, {'name': 'forms_begun', 'n': begun}, {'name': 'forms_left', 'n': left_}]) as measures(measure)
union all
select k, measure.name, t, dim.dim, dim.seg, measure.n
from hit d, unnest(by_web(d)) as dims(dim), unnest([
    {'name': 'page_views', 'n': (kind = 'page_viewed')::int}, {'name': 'ctas', 'n': (kind = 'cta_clicked')::int},
    {'name': 'demos', 'n': (kind = 'demo_requested')::int}]) as measures(measure)
union all
select k, 'page_hits', t, dim.dim, dim.seg, 1
from hit, unnest([{'dim': 'total', 'seg': ''}, {'dim': 'page', 'seg': page}]) as dims(dim) where kind = 'page_viewed'
union all
select k, 'page_exits', t, dim.dim, dim.seg, 1
from (from hit where kind = 'page_viewed' qualify row_number() over (partition by k, subject, name, number order by t desc, page desc) = 1),
    unnest([{'dim': 'total', 'seg': ''}, {'dim': 'page', 'seg': page}]) as dims(dim);

-- == E-mails, ads and posts ==
create or replace table reach as
select k, subject, family, kind, t, id, coalesce(cast(data ->> '$.count' as bigint), 1) as n, money(data ->> '$.cost') as cost,
    nullif(data ->> '$.channel', '') as source, nullif(data ->> '$.campaign', '') as campaign, data ->> '$.message_id' as message,
    coalesce(data ->> '$.machine', 'false') = 'true' as machine
from known where family in ('email', 'ad', 'social');

create or replace table mail as
select k, subject, message, min(t) filter (kind = 'sent') as t,
    first(source order by t, coalesce(source, ''), coalesce(campaign, '')) filter (kind = 'sent') as source,
    first(campaign order by t, coalesce(source, ''), coalesce(campaign, '')) filter (kind = 'sent') as campaign,
    bool_or(kind = 'bounced') as bounced, bool_or((kind = 'opened' and not machine) or kind = 'clicked') as opened,
    bool_or(kind = 'clicked') as clicked
from reach where family = 'email' and n = 1 and message <> '' group by k, subject, message
having min(t) filter (kind = 'sent') is not null and not bool_or(kind = 'bounced');

insert into booking
select k, family || '_' || kind, t, dim.dim, dim.seg, n from reach d, unnest(by_web(d)) as dims(dim)
union all
select k, 'machine_opens', t, dim.dim, dim.seg, n from reach d, unnest(by_web(d)) as dims(dim) where kind = 'opened' and machine
union all
select k, 'ad_cost', t, dim.dim, dim.seg, cost from reach d, unnest(by_web(d)) as dims(dim) where family = 'ad'
union all
select k, measure.name, t, dim.dim, dim.seg, measure.n from mail d, unnest(by_web(d)) as dims(dim), unnest([
    {'name': 'delivered', 'n': 1}, {'name': 'opened', 'n': opened::int}, {'name': 'clicked', 'n': clicked::int}]) as measures(measure);

-- == Customers ==
insert into booking
select k, 'first_amount', min(t), 'total', '', money(first(data ->> '$.amount' order by t, id))
from known where family = 'customer' and kind = 'invoiced' group by k, subject
union all
select k, 'invoiced', t, 'total', '', money(data ->> '$.amount') from known where family = 'customer' and kind = 'invoiced';
