-- What is every KPI, from the events alone? By the definitions in docs/kpis.md and the docstrings of models/folds; what these leave
-- open (the order of equal times, which event dates a close, where a deal reopens) is as in the folds, and said where it is used.
--
-- In:  record(n, line)      the events as they come, one JSON text a row, repeats included
--      asked(k, t)          read at the instant t, knowing the events with time < k (all instants are epoch milliseconds)
--      setting(zone, maturity, session_gap)
--      asked_window(win)
-- Out: answer(kpi, win, dim, seg, t, begin, value, num, den)
--
-- Everything is computed for each k on its own, as if nothing later had happened.

create or replace macro local(ms) as timezone((select zone from setting), make_timestamptz((ms) * 1000));
create or replace macro instant(moment) as epoch_ms(timezone((select zone from setting), moment));
-- What an event says of an attribute: NULL where it is silent, '' where it clears it.
create or replace macro said(data, name) as
    case when json_type(data, '$.' || name) is null then null else coalesce(data ->> ('$.' || name), '') end;
-- Money in 1/10,000 of a unit: whole numbers add up exactly.
create or replace macro money(amount) as cast(cast(nullif(amount, '') as decimal(24, 4)) * 10000 as hugeint);
create or replace macro by_deal(d) as [
    {'dim': 'total', 'seg': ''}, {'dim': 'owner', 'seg': d.owner}, {'dim': 'team', 'seg': d.team},
    {'dim': 'source', 'seg': d.source}, {'dim': 'campaign', 'seg': d.campaign}, {'dim': 'product', 'seg': d.product},
    {'dim': 'region', 'seg': d.region}, {'dim': 'segment', 'seg': d.segment}, {'dim': 'variant', 'seg': d.variant}];

-- An id is one event, however often it comes.
create or replace table event as
select
    n,
    line ->> '$.id' as id,
    split_part(line ->> '$.type', '.', 1) as family,
    split_part(line ->> '$.type', '.', 2) as kind,
    epoch_ms(cast(line ->> '$.time' as timestamptz)) as t,
    line ->> '$.subject' as subject,
    coalesce(line -> '$.data', '{}') as data
from record
qualify row_number() over (partition by id order by n) = 1;

create or replace view known as
select k, event.* from event join (select distinct k from asked) on t < k;

-- == Windows ==
-- Rolling: from the pane (hour; business day from 30 days on) that holds the instant one length ago.
-- Calendar: the period that holds the instant just before.
create or replace table span as
with length as (
    select win, try_cast(rtrim(win, 'hd') as bigint) * case when win like '%h' then 3600000::bigint else 86400000 end as millis
    from asked_window
)
select k, t, win, case
    when millis is null then instant(date_trunc(win, local(t - 1)))
    when millis < 30 * 86400000::bigint then (t - millis) // 3600000 * 3600000
    else instant(date_trunc('day', local(t - millis)))
end as begin
from asked, length;

-- == Merges: the survivor has the facts of both ==
create or replace table survivor as
with recursive merged as (
    select k, family, subject, first(data ->> '$.into' order by t, id) as into_
    from known where kind = 'merged' group by all
), chain as (
    select k, family, subject, into_ as root, 1 as steps from merged
    union all
    select chain.k, chain.family, chain.subject, merged.into_, steps + 1
    from chain join merged on merged.k = chain.k and merged.family = chain.family and merged.subject = chain.root
    where steps < 50
)
select k, family, subject, last(root order by steps) as root from chain group by all;

create or replace table fact as
select k, family, coalesce(root, subject) as subject, t, id, kind, data
from known left join survivor using (k, family, subject)
where family in ('deal', 'lead') and kind not in ('merged', 'activity')
    and not (kind = 'deleted' and root is not null);  -- that the loser is gone is not said of the survivor

-- What was deleted counts for nothing, unless it was created or reopened afterwards.
create or replace table gone as
select k, family, subject from fact where kind in ('created', 'reopened', 'deleted')
group by all having last(kind order by t, id) = 'deleted';

-- == Deals: one row a fact, with all that was known just after it ==
create or replace table deal_fact as
with told as (
    select k, subject, t, id, kind,
        said(data, 'owner') as owner, said(data, 'team') as team, said(data, 'source') as source,
        said(data, 'campaign') as campaign, said(data, 'product') as product, said(data, 'region') as region,
        said(data, 'segment') as segment, said(data, 'variant') as variant, said(data, 'amount') as amount,
        said(data, 'cost') as cost, said(data, 'expected_close_date') as expected,
        nullif(said(data, 'stage'), '') as stage_said,
        case when kind in ('won', 'lost') then kind when kind in ('reopened', 'stage_changed') then 'open' end as turn
    from fact anti join gone using (k, family, subject) where family = 'deal'
), carried as (
    select k, subject, t, id, kind, stage_said,
        last_value(owner ignore nulls) over so_far as owner, last_value(team ignore nulls) over so_far as team,
        last_value(source ignore nulls) over so_far as source, last_value(campaign ignore nulls) over so_far as campaign,
        last_value(product ignore nulls) over so_far as product, last_value(region ignore nulls) over so_far as region,
        last_value(segment ignore nulls) over so_far as segment, last_value(variant ignore nulls) over so_far as variant,
        money(last_value(amount ignore nulls) over so_far) as amount, money(last_value(cost ignore nulls) over so_far) as cost,
        -- A date beyond these only stands for none.
        case when last_value(expected ignore nulls) over so_far between '2000' and '2199-12-31'
            then cast(last_value(expected ignore nulls) over so_far as date) end as expected,
        -- An edit opens no deal: until a creation or a stage is told, nobody knows what it is.
        coalesce(last_value(turn ignore nulls) over so_far,
            case when bool_or(kind = 'created' or stage_said is not null) over so_far then 'open' else 'unknown' end) as status
    from told window so_far as (partition by k, subject order by t, id rows unbounded preceding)
), followed as (
    select *, status is distinct from lag(status) over w as turns,
        -- What is said with the close, or after it, is no expectation.
        case when status not in ('won', 'lost') and expected is distinct from lag(expected) over w then expected end as hoped,
        status = 'open' and lag(status) over w = 'open' and coalesce(expected > lag(expected) over w, false) as push
    from carried window w as (partition by k, subject order by t, id)
), staged as (
    select *,
        -- A stage said while the deal stays closed moves nothing; a deal that reopens is where it is said to be, or was.
        last_value(case when kind not in ('won', 'lost') and status = 'open' then stage_said end ignore nulls) over so_far as stage,
        sum(turns::int) over so_far as run,
        min(case when kind = 'created' then t end) over so_far as created, bool_or(push) over so_far as pushed,
        first_value(hoped ignore nulls) over so_far as promised,
        first_value(nullif(owner, '') ignore nulls) over so_far as first_owner, first_value(nullif(team, '') ignore nulls) over so_far as first_team
    from followed window so_far as (partition by k, subject order by t, id rows unbounded preceding)
)
select * exclude (stage_said, turns), case when status = 'open' then stage end as place,
    -- The first event that says so dates the close.
    first_value(t) over same_run as closed, first_value(owner) over same_run as owner_then, first_value(team) over same_run as team_then,
    lead(t) over (partition by k, subject order by t, id) as until
from staged window same_run as (partition by k, subject, run order by t, id);

-- Credit goes to the owner and team of the close; all else as last known.
create or replace table closed_deal as
select k, subject, status, closed, amount, cost, created,
    coalesce(nullif(owner_then, ''), owner) as owner, coalesce(nullif(team_then, ''), team) as team,
    source, campaign, product, region, segment, variant
from (from deal_fact qualify row_number() over (partition by k, subject order by t desc, id desc) = 1)
where status in ('won', 'lost');

create or replace table stage_visit as
with step as (
    select *, (place is distinct from lag(place) over w)::int as moves
    from deal_fact window w as (partition by k, subject order by t, id)
), visit as (
    select *, sum(moves) over (partition by k, subject order by t, id rows unbounded preceding) as visit from step
), whole as (
    select k, subject, visit, place, min(t) as entered from visit group by all
)
select k, subject, place, entered, lead(entered) over (partition by k, subject order by visit) as left_
from whole qualify place is not null;

-- Since when a deal has been where it is, in a stage or open without one.
create or replace table placed as
with step as (
    select *, (place is distinct from lag(place) over w or status is distinct from lag(status) over w)::int as moves
    from deal_fact window w as (partition by k, subject order by t, id)
), visit as (
    select *, sum(moves) over (partition by k, subject order by t, id rows unbounded preceding) as visit from step
)
select * exclude (moves, visit), min(t) over (partition by k, subject, visit) as since from visit;

-- The pipeline at an instant: each deal as its last fact before left it.
create or replace table level as
select asked.k, asked.t, dim.dim, dim.seg, sum(amount) filter (status = 'open') as n, count(*) filter (status = 'unknown') as unknown,
    count(created) filter (status = 'open') as dated, sum(created::hugeint) filter (status = 'open') as since,
    count(*) filter (status = 'open' and pushed) as pushed,
    count(*) filter (status = 'open' and instant(date_trunc('day', local(d.since)) + interval 31 day) < asked.t) as stalled
from asked join placed d on d.k = asked.k and d.t < asked.t and (d.until is null or d.until >= asked.t),
    unnest(list_append(by_deal(d), {'dim': 'stage', 'seg': place})) as dims(dim)
where status in ('open', 'unknown') and (dim.dim = 'total' or dim.seg <> '')
group by all;

-- The odds of each stage: of the deals closed in 365 days that have been in it, the share won, drawn to that of all.
create or replace table odds as
with closing as (
    select d.k, asked.t, d.subject, (status = 'won')::int as won from closed_deal d join asked on asked.k = d.k
    where closed >= instant(date_trunc('day', local(asked.t - 365 * 86400000::bigint))) and closed < asked.t
), everything as (
    select k, t, avg(won) as rate from closing group by all
), visited as (
    select k, t, place, sum(won)::double as x, count(*)::double as n
    from closing join (select distinct k, subject, place from stage_visit) using (k, subject) group by all
), spread as (
    select k, t, sum(x) / sum(n) as p, sum(n) as trials, sum(n) - sum(n * n) / sum(n) as room,
        sum(n * (x / n - p_all) ** 2) - (count(*) - 1) * any_value(p_all * (1 - p_all)) as s
    from (select *, sum(x) over w / sum(n) over w as p_all from visited window w as (partition by k, t)) group by all
), prior as (
    select k, t, p, case when s <= 1e-12 or room <= 1e-12 then trials else least(trials, greatest(1, p * (1 - p) * room / s - 1)) end as m from spread
)
select everything.k, everything.t, rate, place, (x + m * p) / (n + m) as share
from everything left join prior using (k, t) left join visited using (k, t);

-- == Leads ==
create or replace table lead_ as
select k, subject,
    any_value(born) as created,
    -- Somebody who was called long before being a lead was not answered as one.
    min(t) filter (kind = 'contacted' and t >= born - 86400000) as contacted,
    min(t) filter (kind = 'converted') as converted,
    count(*) filter (kind = 'qualified') > 0 as qualified,
    count(*) filter (kind = 'disqualified') > 0 as disqualified,
    last(said(data, 'owner') order by t, id) filter (said(data, 'owner') is not null) as owner,
    last(said(data, 'team') order by t, id) filter (said(data, 'team') is not null) as team,
    last(said(data, 'source') order by t, id) filter (said(data, 'source') is not null) as source,
    last(said(data, 'campaign') order by t, id) filter (said(data, 'campaign') is not null) as campaign,
    last(said(data, 'product') order by t, id) filter (said(data, 'product') is not null) as product,
    last(said(data, 'region') order by t, id) filter (said(data, 'region') is not null) as region,
    last(said(data, 'segment') order by t, id) filter (said(data, 'segment') is not null) as segment,
    last(said(data, 'variant') order by t, id) filter (said(data, 'variant') is not null) as variant
from (select *, min(t) filter (kind = 'created') over (partition by k, subject) as born from fact where family = 'lead')
    anti join gone using (k, family, subject) group by k, subject;

-- == Visits: those of one session id; where there is none, those with no silence longer than the gap between them ==
create or replace table visit as
with hit as (
    select k, subject, t, id, kind, t + cast(round(coalesce(cast(data ->> '$.duration_seconds' as double), 0) * 1000) as bigint) as until,
        coalesce(data ->> '$.session_id', '') as name, nullif(data ->> '$.source', '') as source, nullif(data ->> '$.campaign', '') as campaign
    from known where family = 'web' and kind <> 'identified'
), apart as (
    select *, case when name <> '' then 0 else
        (t > coalesce(max(until) over earlier, -1) + (select session_gap from setting))::int end as new
    from hit window earlier as (partition by k, subject, name order by t, id rows between unbounded preceding and 1 preceding)
), numbered as (
    select *, sum(new) over (partition by k, subject, name order by t, id rows unbounded preceding) as number from apart
)
select k, subject, name, number, min(t) as t, max(until) - min(t) as millis, count(*) filter (kind = 'page_viewed') as pages,
    first(source order by t, id) filter (source is not null) as source,
    first(campaign order by t, id) filter (campaign is not null) as campaign
from numbered group by all;

-- == What accounts do ==
create or replace table move as
select k, subject, t, case kind when 'invoiced' then 'i' when 'renewed' then 'r' when 'churned' then 'c' else 'm' end as code,
    coalesce(money(data ->> '$.amount'), 0) as amount, coalesce(data ->> '$.product', '') as product,
    case when data ->> '$.term_end' between '2000' and '2199-12-31' and cast(data ->> '$.term_end' as date) >= cast(local(t) as date)
        then cast(data ->> '$.term_end' as date) end as ends,
    row_number() over (partition by k, subject order by t, code, amount) as place
from known where family = 'customer' and kind in ('invoiced', 'renewed', 'churned', 'recommended');

create or replace table term as
with later as (
    select term.*, instant(term.ends + interval 31 day) as due, m.t as then, m.code as what, m.amount as pays, m.place as number,
        m.code = 'r' and (m.product = term.product or m.product = '' or term.product = '') as renews,
        m.code in ('i', 'r') and m.t >= instant(term.ends::timestamp) as buys
    from move term left join move m on m.k = term.k and m.subject = term.subject and m.place > term.place
        and m.t < instant(term.ends + interval 31 day)
    where term.ends is not null
)
select k, subject, place, product, amount, t, due, instant(ends + interval 1 day) - t as millis, coalesce(bool_or(renews), false) as renewed,
    coalesce(arg_min(pays, number) filter (renews), arg_min(pays, number) filter (buys)) as kept,
    kept is not null and coalesce(max("then") filter (what = 'c') < coalesce(max("then") filter (what in ('i', 'r')), t), true) as retained
from later group by k, subject, place, product, amount, t, due, ends;

-- == What happened, when, to be counted under what ==
create or replace table booking as
select k, measure.name as measure, closed as t, dim.dim as dim, dim.seg as seg, measure.n::hugeint as n
from closed_deal d, unnest(by_deal(d)) as dims(dim), unnest([
    {'name': status, 'n': 1}, {'name': status || '_amount', 'n': amount}, {'name': status || '_sized', 'n': (amount is not null)::int},
    {'name': 'won_cost', 'n': case when status = 'won' and amount is not null then cost end},
    {'name': 'won_costed', 'n': case when status = 'won' and cost is not null then amount end},
    {'name': 'cycle_millis', 'n': case when status = 'won' and created <= closed then closed - created end},
    {'name': 'cycles', 'n': case when status = 'won' and created <= closed then 1 end}]) as measures(measure)
union all
-- The creation: whoever had the credit first, all else and the amount as last known.
select k, measure.name, created, dim.dim, dim.seg, measure.n
from (select * replace (first_owner as owner, first_team as team) from deal_fact
    qualify row_number() over (partition by k, subject order by t desc, id desc) = 1) d,
    unnest(by_deal(d)) as dims(dim), unnest([{'name': 'created', 'n': 1}, {'name': 'created_amount', 'n': amount}]) as measures(measure)
where created is not null
union all
select k, measure.name, instant(promised + interval 1 day), dim.dim, dim.seg, measure.n
from (from deal_fact qualify row_number() over (partition by k, subject order by t desc, id desc) = 1) d,
    unnest(by_deal(d)) as dims(dim), unnest([{'name': 'promised', 'n': 1}, {'name': 'slipped',
        'n': (status = 'open' or closed >= instant(promised + interval 1 day))::int}]) as measures(measure)
where promised is not null and status <> 'unknown'
union all
select k, 'pushes', t, dim.dim, dim.seg, 1 from deal_fact d, unnest(by_deal(d)) as dims(dim) where push
union all
select k, measure.name, measure.t, dim.dim, dim.seg, measure.n
from term, unnest([{'dim': 'total', 'seg': ''}, {'dim': 'product', 'seg': product}]) as dims(dim), unnest([
    {'name': 'term_amount', 't': t, 'n': amount}, {'name': 'term_millis', 't': t, 'n': millis}, {'name': 'terms_due', 't': due, 'n': 1},
    {'name': 'terms_due_amount', 't': due, 'n': amount}, {'name': 'terms_renewed', 't': due, 'n': renewed::int},
    {'name': 'terms_retained', 't': due, 'n': retained::int},
    {'name': 'terms_kept_amount', 't': due, 'n': case when retained then kept else 0 end}]) as measures(measure)
union all
select k, measure.name, first, 'total', '', measure.n
from (select k, subject, min(t) filter (code = 'i') as first, count(*) filter (code = 'i') > 1 as again, bool_or(code = 'm') as told
    from move group by all), unnest([{'name': 'repeated', 'n': again::int}, {'name': 'recommending', 'n': told::int}]) as measures(measure)
where first is not null
union all
select k, measure.name, t, 'total', '', measure.n
from known, unnest([
    {'name': 'churns', 'n': (kind = 'churned')::int}, {'name': 'invoices', 'n': (kind = 'invoiced')::int},
    {'name': 'complaints', 'n': (kind = 'complained')::int},
    {'name': 'support_answered', 'n': (kind in ('complained', 'supported') and data ->> '$.response_seconds' is not null)::int},
    {'name': 'support_millis', 'n': case when kind in ('complained', 'supported')
        then round(cast(data ->> '$.response_seconds' as double) * 1000)::hugeint end},
    {'name': 'csat_answers', 'n': (kind = 'surveyed' and data ->> '$.kind' = 'csat')::int},
    {'name': 'csat_satisfied', 'n': (kind = 'surveyed' and data ->> '$.kind' = 'csat' and cast(data ->> '$.score' as double) >= 4)::int}
    ]) as measures(measure)
where family = 'customer'
union all
select k, 'training', t, dim.dim, dim.seg, round(cast(data ->> '$.hours' as double) * 3600000)::hugeint
from known, unnest([{'dim': 'total', 'seg': ''}, {'dim': 'owner', 'seg': data ->> '$.owner'}]) as dims(dim)
where family = 'rep' and kind = 'trained'
union all
select k, measure.name, left_, dim.dim, dim.seg, measure.n
from stage_visit, unnest([{'dim': 'total', 'seg': ''}, {'dim': 'stage', 'seg': place}]) as dims(dim),
    unnest([{'name': 'stages', 'n': 1}, {'name': 'stage_millis', 'n': left_ - entered}]) as measures(measure)
where left_ is not null
union all
select k, measure.name, measure.t, dim.dim, dim.seg, measure.n
from lead_ d, unnest(by_deal(d)) as dims(dim), unnest([
    {'name': 'leads', 't': created, 'n': 1},
    {'name': 'mql', 't': created, 'n': qualified::int},
    {'name': 'answered', 't': created, 'n': (coalesce(contacted, converted) is not null)::int},
    -- Who was converted was answered, said or not; who was disqualified unanswered waits no longer.
    {'name': 'response_millis', 't': created, 'n': greatest(coalesce(contacted, converted) - created, 0)},
    {'name': 'waiting', 't': created, 'n': (coalesce(contacted, converted) is null and not disqualified)::int},
    {'name': 'waiting_since', 't': created, 'n': case when coalesce(contacted, converted) is null and not disqualified then created end},
    {'name': 'converted', 't': converted, 'n': 1},
    {'name': 'matured', 't': created + (select maturity from setting), 'n': 1},
    {'name': 'matured_converted', 't': created + (select maturity from setting),
        'n': (converted <= created + (select maturity from setting))::int}]) as measures(measure)
union all
select k, measure.name, t, dim.dim, dim.seg, measure.n
from visit, unnest([{'dim': 'total', 'seg': ''}, {'dim': 'source', 'seg': source}, {'dim': 'campaign', 'seg': campaign}]) as dims(dim),
    unnest([{'name': 'sessions', 'n': 1}, {'name': 'bounced', 'n': (pages = 1)::int}, {'name': 'session_millis', 'n': millis}]) as measures(measure)
union all
select k, 'spend', coalesce(instant(cast(data ->> '$.day' as timestamp)), t), dim.dim, dim.seg, money(data ->> '$.amount')
from known, unnest([{'dim': 'total', 'seg': ''}, {'dim': 'source', 'seg': coalesce(data ->> '$.channel', '')},
    {'dim': 'campaign', 'seg': coalesce(data ->> '$.campaign', '')}]) as dims(dim) where family = 'spend' and kind = 'recorded'
union all
select k, 'new_customers', min(t), 'total', '', 1 from known where family = 'customer' and kind = 'invoiced' group by k, subject
union all
select k, measure.name, t, 'total', '', measure.n
from known, unnest([{'name': 'answers', 'n': 1}, {'name': 'promoters', 'n': (cast(data ->> '$.score' as double) >= 9)::int},
    {'name': 'detractors', 'n': (cast(data ->> '$.score' as double) <= 6)::int}]) as measures(measure)
where family = 'customer' and kind = 'surveyed' and data ->> '$.kind' = 'nps';

create or replace table total as
select span.k, span.t, win, begin, dim, seg, measure, sum(n) as n
from booking join span on booking.k = span.k and booking.t >= begin and booking.t < span.t
where n is not null and (dim = 'total' or seg <> '')
group by all
union all
select span.k, span.t, win, begin, dim.dim, dim.seg, 'visitors', count(distinct subject)
from visit join span on visit.k = span.k and visit.t >= begin and visit.t < span.t,
    unnest([{'dim': 'total', 'seg': ''}, {'dim': 'source', 'seg': source}, {'dim': 'campaign', 'seg': campaign}]) as dims(dim)
where dim.dim = 'total' or dim.seg <> ''
group by all;

create or replace table middle as
select span.t, win, dim.dim as dim, dim.seg as seg, quantile_cont(amount::bigint, 0.5) as median
from closed_deal d join span on d.k = span.k and closed >= begin and closed < span.t, unnest(by_deal(d)) as dims(dim)
where status = 'won' and amount is not null and (dim.dim = 'total' or dim.seg <> '')
group by all;

-- == The KPIs ==
create or replace table quotient as
with part as (from (select t, win, begin, dim, seg, measure, n from total) pivot (sum(n) for measure in (
    'won', 'lost', 'won_amount', 'lost_amount', 'won_sized', 'cycle_millis', 'cycles', 'stages', 'stage_millis', 'leads', 'mql', 'answered',
    'response_millis', 'waiting', 'waiting_since', 'converted', 'matured', 'matured_converted', 'sessions', 'bounced', 'session_millis',
    'visitors', 'spend', 'new_customers', 'answers', 'promoters', 'detractors', 'won_cost', 'won_costed', 'created', 'created_amount',
    'promised', 'slipped', 'pushes', 'term_amount', 'term_millis', 'terms_due', 'terms_due_amount', 'terms_renewed', 'terms_retained',
    'terms_kept_amount', 'repeated', 'recommending', 'churns', 'invoices', 'complaints', 'support_answered', 'support_millis',
    'csat_answers', 'csat_satisfied', 'training')))
select t, win, begin, dim, seg, kpi.*
from (select t, win, begin, dim, seg, coalesce(columns(* exclude (t, win, begin, dim, seg)), 0) from part) p, unnest([
    {'kpi': 'win_rate', 'num': won, 'den': won + lost, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'win_rate_value', 'num': won_amount, 'den': won_amount + lost_amount, 'num_unit': 10000, 'den_unit': 10000},
    {'kpi': 'average_deal_size', 'num': won_amount, 'den': won_sized, 'num_unit': 10000, 'den_unit': 1},
    {'kpi': 'time_to_close_won', 'num': cycle_millis, 'den': cycles, 'num_unit': 1000, 'den_unit': 1},
    {'kpi': 'stage_duration', 'num': stage_millis, 'den': stages, 'num_unit': 1000, 'den_unit': 1},
    {'kpi': 'visitor_to_lead_rate', 'num': leads, 'den': visitors, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'mql_rate', 'num': mql, 'den': leads, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'lead_response_time', 'num': response_millis + waiting * t - waiting_since, 'den': answered + waiting, 'num_unit': 1000, 'den_unit': 1},
    {'kpi': 'lead_conversion', 'num': matured_converted, 'den': matured, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'lead_conversion_period', 'num': converted, 'den': leads, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'bounce_rate', 'num': bounced, 'den': sessions, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'session_duration', 'num': session_millis, 'den': sessions, 'num_unit': 1000, 'den_unit': 1},
    {'kpi': 'cac', 'num': spend, 'den': new_customers, 'num_unit': 10000, 'den_unit': 1},
    {'kpi': 'nps', 'num': promoters - detractors, 'den': answers, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'cost_per_lead', 'num': spend, 'den': leads, 'num_unit': 10000, 'den_unit': 1},
    {'kpi': 'cost_per_mql', 'num': spend, 'den': mql, 'num_unit': 10000, 'den_unit': 1},
    {'kpi': 'cost_per_opportunity', 'num': spend, 'den': created, 'num_unit': 10000, 'den_unit': 1},
    {'kpi': 'gross_margin', 'num': won_costed - won_cost, 'den': won_costed, 'num_unit': 10000, 'den_unit': 10000},
    {'kpi': 'campaign_roi', 'num': won_amount - won_cost - spend, 'den': spend, 'num_unit': 10000, 'den_unit': 10000},
    {'kpi': 'roas', 'num': won_amount, 'den': spend, 'num_unit': 10000, 'den_unit': 10000},
    {'kpi': 'clv', 'num': terms_due_amount, 'den': terms_due - terms_retained, 'num_unit': 10000, 'den_unit': 1},
    {'kpi': 'retention_rate', 'num': terms_retained, 'den': terms_due, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'renewal_rate', 'num': terms_renewed, 'den': terms_due, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'churn_rate', 'num': terms_due - terms_retained, 'den': terms_due, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'net_revenue_retention', 'num': terms_kept_amount, 'den': terms_due_amount, 'num_unit': 10000, 'den_unit': 10000},
    {'kpi': 'csat', 'num': csat_satisfied, 'den': csat_answers, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'complaint_rate', 'num': complaints, 'den': invoices, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'support_response_time', 'num': support_millis, 'den': support_answered, 'num_unit': 1000, 'den_unit': 1},
    {'kpi': 'recommendation_rate', 'num': recommending, 'den': new_customers, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'repeat_purchase_rate', 'num': repeated, 'den': new_customers, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'slippage', 'num': slipped, 'den': promised, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'clv_margin', 'num': terms_due_amount * (won_costed - won_cost), 'den': (terms_due - terms_retained) * won_costed, 'num_unit': 100000000, 'den_unit': 10000},
    {'kpi': 'clv_to_cac', 'num': terms_due_amount * new_customers, 'den': (terms_due - terms_retained) * spend, 'num_unit': 10000, 'den_unit': 10000},
    {'kpi': 'cac_payback', 'num': spend * term_millis * won_costed,
        'den': new_customers * term_amount * (won_costed - won_cost), 'num_unit': 100000000000, 'den_unit': 100000000},
    {'kpi': 'cac_payback_revenue', 'num': spend * term_millis, 'den': new_customers * term_amount, 'num_unit': 10000000, 'den_unit': 10000},
    {'kpi': 'pipeline_created', 'num': created_amount, 'den': null, 'num_unit': 10000, 'den_unit': null},
    {'kpi': 'gross_margin_amount', 'num': won_costed - won_cost, 'den': null, 'num_unit': 10000, 'den_unit': null},
    {'kpi': 'pushes', 'num': pushes, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'customers_lost', 'num': churns, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'training_hours', 'num': training, 'den': null, 'num_unit': 1000, 'den_unit': null},
    {'kpi': 'sales', 'num': won, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'revenue', 'num': won_amount, 'den': null, 'num_unit': 10000, 'den_unit': null},
    {'kpi': 'leads', 'num': leads, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'sessions', 'num': sessions, 'den': null, 'num_unit': 1, 'den_unit': null}]) as kpis(kpi);

-- What is open and expected to close in the whole period, or on the days from today on that a rolling window is long.
create or replace table due as
with period as (
    select *, case when try_cast(rtrim(win, 'hd') as bigint) is null then local(begin) else date_trunc('day', local(t)) end as first,
        case win when 'day' then interval 1 day when 'week' then interval 7 day when 'month' then interval 1 month
            when 'quarter' then interval 3 month when 'year' then interval 1 year
            else to_days(greatest(1, round(cast(rtrim(win, 'hd') as bigint) / case when win like '%h' then 24 else 1 end))::int) end as length
    from span
)
select win, dim.dim as dim, dim.seg as seg, period.t, begin, sum(coalesce(amount, 0)) / 10000 as n, null as num, null as den
from (from deal_fact qualify row_number() over (partition by k, subject order by t desc, id desc) = 1) d
    join period on d.k = period.k and expected >= first and expected < first + length, unnest(by_deal(d)) as dims(dim)
where status = 'open' and (dim.dim = 'total' or dim.seg <> '')
group by all;

create or replace table weighted as
with rate as (select k, t, any_value(rate) as rate from odds group by all),
each as (
    select k, t, place, coalesce(n, 0) as n, coalesce(share, rate.rate) as share
    from rate join (select distinct k, place from stage_visit) using (k)
        left join (select k, t, seg as place, n from level where dim = 'stage') using (k, t, place)
        left join (select k, t, place, share from odds) using (k, t, place)
)
select win, 'stage' as dim, place as seg, t, begin, n * share / 10000, null, null from each join span using (k, t)
union all
select win, 'total', '', t, begin, (coalesce(any_value(whole.n), 0) * any_value(rate)
    + coalesce(sum(each.n * share), 0) - coalesce(sum(each.n), 0) * any_value(rate)) / 10000, null, null
from rate join span using (k, t) left join each using (k, t) left join (select k, t, n from level where dim = 'total') whole using (k, t) group by all;

-- Of the steps that newcomers have to do, those that are done, each once.
create or replace table onboarding as
with told as (
    select k, t, 'hired' as kind, data ->> '$.owner' as owner, coalesce(cast(data ->> '$.steps' as bigint), 0) as n
    from known where family = 'rep' and kind = 'hired'
    union all
    select k, min(t), 'onboarded', first(data ->> '$.owner' order by t, id), 1
    from known where family = 'rep' and kind = 'onboarded' group by k, subject, data ->> '$.step'
)
select asked.k, asked.t, dim.dim, dim.seg, coalesce(sum(n) filter (kind = 'hired'), 0) as steps,
    coalesce(sum(n) filter (kind = 'onboarded'), 0) as done
from asked join told on told.k = asked.k and told.t < asked.t,
    unnest([{'dim': 'total', 'seg': ''}, {'dim': 'owner', 'seg': owner}]) as dims(dim) group by all;

create or replace table per_rep as
with cell as (
    select t, win, begin, dim, seg, sum(n) filter (measure = 'won')::double as x, sum(n)::double as n
    from total where measure in ('won', 'lost') and dim in ('total', 'owner', 'team') group by all
), spread as (
    select t, win, dim, sum(x) / sum(n) as p, sum(n) as trials, sum(n) - sum(n * n) / sum(n) as room,
        sum(n * (x / n - p_all) ** 2) - (count(*) - 1) * any_value(p_all * (1 - p_all)) as s
    from (select * replace (coalesce(x, 0) as x), sum(coalesce(x, 0)) over w / sum(n) over w as p_all
        from cell window w as (partition by t, win, dim)) group by all
), prior as (
    select *, case when s <= 1e-12 or room <= 1e-12 then trials else least(trials, greatest(1, p * (1 - p) * room / s - 1)) end as m from spread
)
select win, dim, seg, t, begin, case when dim = 'total' then coalesce(x, 0) / n else (coalesce(x, 0) + m * p) / (n + m) end, null, null
from cell join prior using (t, win, dim);

create or replace view answer as
select kpi, win, dim, seg, t, begin,
    -- A share of amounts of which some are below 0 may come out as none.
    case when den is null then num / num_unit
        when kpi = 'win_rate_value' and den <> 0 and num / den not between 0 and 1 then null
        when den <> 0 then
        (num / num_unit) / (den / den_unit) * case when kpi = 'nps' then 100 else 1 end end as value,
    case when den is not null then num / num_unit end as num,
    den / den_unit as den
from quotient
union all
select 'median_deal_size', win, dim, seg, t, begin, median / 10000, null, null from middle join span using (t, win)
union all
select 'open_pipeline', win, dim, seg, t, begin, coalesce(n, 0) / 10000, null, null from level join span using (k, t)
union all
select 'unknown_deals', win, dim, seg, t, begin, unknown, null, null from level join span using (k, t)
union all
select 'pushed_deals', win, dim, seg, t, begin, pushed, null, null from level join span using (k, t)
union all
select 'stalled_deals', win, dim, seg, t, begin, stalled, null, null from level join span using (k, t)
union all
select 'pipeline_age', win, dim, seg, t, begin, (dated * t - since) / 1000 / dated, (dated * t - since) / 1000, dated
from level join span using (k, t) where dated > 0
union all
select 'onboarding_progress', win, dim, seg, t, begin, case when steps > 0 then done / steps end, done, steps
from onboarding join span using (k, t)
union all
select 'due_pipeline', * from due
union all
select 'weighted_pipeline', * from weighted
union all
select 'win_rate_per_rep', * from per_rep;
