-- The KPIs of the funnel's first four stages, from the sums of what has happened. Read after truth.sql.

-- The level of open deals.
create or replace table open_now as
select asked.k, asked.t, dim.dim, dim.seg, count(*) as n
from asked join deal_fact d on d.k = asked.k and d.t < asked.t and (d.until is null or d.until >= asked.t), unnest(by_deal(d)) as dims(dim)
where status = 'open' and (dim.dim = 'total' or dim.seg <> '') group by all;

create or replace table buyers as
select span.t, win, begin, count(distinct subject) as n
from known e join span on e.k = span.k and e.t >= begin and e.t < span.t
where family = 'customer' and kind = 'invoiced' group by all;

-- Time spent in stages by open deals, inside the window.
create or replace table spent as
select span.t, win, begin, dim.dim, dim.seg, sum(least(coalesce(left_, span.t), span.t) - greatest(entered, begin)) as n
from stay join span on stay.k = span.k and entered < span.t and (left_ is null or left_ > begin),
    unnest([{'dim': 'total', 'seg': ''}, {'dim': 'stage', 'seg': place}]) as dims(dim)
where dim.dim = 'total' or dim.seg <> '' group by all;

create or replace table aida as
with part as (from (select t, win, begin, dim, seg, measure, n from total) pivot (sum(n) for measure in (
    'won', 'lost', 'won_amount', 'won_sized', 'cycle_millis', 'cycles', 'close_millis', 'close_known', 'lead_cycle_millis', 'lead_cycles',
    'list_amount', 'listed_amount', 'listed', 'below_list', 'told', 'cross_sold', 'upsold', 'cancelled', 'losses', 'loss_amount', 'activities', 'meetings',
    'signatures', 'stages', 'stage_repeated', 'stage_ended', 'stage_advanced', 'stage_back', 'leads', 'mql', 'sql', 'scored', 'scores',
    'converted_scored', 'converted_scores', 'bant', 'to_deal', 'disqualified', 'due', 'in_time', 'prepared', 'preparation', 'attempts',
    'visitors', 'sessions', 'session_pages', 'forms_begun', 'forms_left', 'page_views', 'ctas', 'demos', 'page_hits', 'page_exits',
    'email_sent', 'email_opened', 'email_clicked', 'email_bounced', 'machine_opens', 'ad_impressed', 'ad_clicked', 'ad_cost',
    'social_reached', 'delivered', 'opened', 'clicked', 'new_customers', 'first_amount', 'invoiced')))
, reason as (  -- of a reason that nothing was lost for there is a share all the same: none of all
    select w.t, w.win, w.begin, 'reason' as dim, r.seg from part w cross join (select distinct seg from part where dim = 'reason') r
    where w.dim = 'total'
), filled as (from part union all by name (from reason anti join part using (t, win, dim, seg)))
select t, win, begin, dim, seg, coalesce(columns(* exclude (t, win, begin, dim, seg)), 0) from filled;

create or replace view aida_quotient as
select a.t, a.win, a.begin, a.dim, a.seg, kpi.*
from aida a join (select t, win, leads as all_leads, losses as all_losses, loss_amount as all_loss_amount from aida where dim = 'total') w
    using (t, win) left join buyers using (t, win), unnest([
    {'kpi': 'page_views', 'num': page_views, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'top_pages', 'num': page_hits, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'ad_impressions', 'num': ad_impressed, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'social_reach', 'num': social_reached, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'stages_skipped', 'num': 0, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'stages_back', 'num': stage_back, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'stages_repeated', 'num': stage_repeated, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'meetings', 'num': meetings, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'signatures', 'num': signatures, 'den': null, 'num_unit': 1, 'den_unit': null},
    {'kpi': 'pages_per_session', 'num': session_pages, 'den': sessions, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'exit_rate', 'num': page_exits, 'den': page_hits, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'cost_per_click', 'num': ad_cost, 'den': ad_clicked, 'num_unit': 10000, 'den_unit': 1},
    {'kpi': 'email_open_rate', 'num': opened, 'den': delivered, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'email_open_rate_period', 'num': email_opened - machine_opens, 'den': email_sent - email_bounced, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'email_click_rate', 'num': clicked, 'den': delivered, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'email_click_rate_period', 'num': email_clicked, 'den': email_sent - email_bounced, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'click_to_open_rate', 'num': clicked, 'den': opened, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'click_to_open_rate_period', 'num': email_clicked, 'den': email_opened - machine_opens, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'cta_click_rate', 'num': ctas, 'den': page_views, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'ad_click_rate', 'num': ad_clicked, 'den': ad_impressed, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'sql_rate', 'num': sql, 'den': leads, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'sql_to_mql_ratio', 'num': sql, 'den': mql, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'visitor_to_mql_rate', 'num': mql, 'den': visitors, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'lead_score', 'num': scores, 'den': scored, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'lead_score_converted', 'num': converted_scores, 'den': converted_scored, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'bant_complete_rate', 'num': bant, 'den': leads, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'demo_request_rate', 'num': demos, 'den': visitors, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'form_abandonment_rate', 'num': forms_left, 'den': forms_begun, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'lead_to_opportunity_rate', 'num': to_deal, 'den': leads, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'disqualification_rate', 'num': disqualified, 'den': case when dim = 'reason' then all_leads else leads end, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'response_within_sla', 'num': in_time, 'den': due, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'first_contact_preparation_time', 'num': preparation, 'den': prepared, 'num_unit': 1000, 'den_unit': 1},
    {'kpi': 'contact_attempts', 'num': attempts, 'den': leads, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'stage_conversion', 'num': stage_advanced, 'den': stage_ended, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'time_to_close_mean', 'num': close_millis, 'den': close_known, 'num_unit': 1000, 'den_unit': 1},
    {'kpi': 'time_to_close_from_lead', 'num': lead_cycle_millis, 'den': lead_cycles, 'num_unit': 1000, 'den_unit': 1},
    {'kpi': 'first_purchase_value', 'num': first_amount, 'den': new_customers, 'num_unit': 10000, 'den_unit': 1},
    {'kpi': 'revenue_per_customer', 'num': invoiced, 'den': coalesce(buyers.n, 0), 'num_unit': 10000, 'den_unit': 1},
    {'kpi': 'revenue_per_sale', 'num': won_amount, 'den': won, 'num_unit': 10000, 'den_unit': 1},
    {'kpi': 'cross_sell_rate', 'num': cross_sold, 'den': told, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'upsell_rate', 'num': upsold, 'den': told, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'discount_rate', 'num': list_amount - listed_amount, 'den': list_amount, 'num_unit': 10000, 'den_unit': 10000},
    {'kpi': 'discounted_deals_rate', 'num': below_list, 'den': listed, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'cancellation_rate', 'num': cancelled, 'den': won + cancelled, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'activities_per_win', 'num': activities, 'den': won, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'loss_reasons', 'num': losses, 'den': case when dim = 'reason' then all_losses else losses end, 'num_unit': 1, 'den_unit': 1},
    {'kpi': 'loss_reasons_value', 'num': loss_amount, 'den': case when dim = 'reason' then all_loss_amount else loss_amount end,
        'num_unit': 10000, 'den_unit': 10000}]) as kpis(kpi);

-- == How long things take, by Kaplan and Meier: of all that was seen in the window, those still there with their age ==
-- What began is known by the pane (of stages the hour for 30 days, else the day), lengths to five binary digits.
create or replace table begun as
select k, 'deal_lengths' as what, dim.dim, dim.seg, instant(date_trunc('day', local(created))) as t,
    case when status in ('won', 'lost') and created <= closed then rough(closed - created) end as length
from (
    select f.k, f.subject, f.created, f.status, f.closed, begun_by as owner, begun_in as team, source, product, region, segment
    from (from deal_fact qualify row_number() over (partition by k, subject order by t desc, id desc) = 1) f join deal_more using (k, subject)
) d, unnest([{'dim': 'total', 'seg': ''}, {'dim': 'owner', 'seg': owner}, {'dim': 'team', 'seg': team}, {'dim': 'source', 'seg': source},
    {'dim': 'product', 'seg': product}, {'dim': 'region', 'seg': region}, {'dim': 'segment', 'seg': segment}]) as dims(dim)
where created is not null and (dim.dim = 'total' or dim.seg <> '')
union all
select k, 'stage_lengths', dim.dim, dim.seg, entered, rough(left_ - entered)
from stay, unnest([{'dim': 'total', 'seg': ''}, {'dim': 'stage', 'seg': place}]) as dims(dim) where place is not null;

create or replace table watched as
with placed as (
    select what, dim, seg, span.t, win, begin, length, case when what = 'deal_lengths' then b.t
        when b.t >= instant(date_trunc('day', local(span.t - 1)) - interval 30 day) then instant(date_trunc('hour', local(b.t)))
        else instant(date_trunc('day', local(b.t))) end as begun_at
    from begun b join span on b.k = span.k and b.t < span.t
)
select what, dim, seg, t, win, begin, greatest(0, begin - begun_at) as since, length is not null as gone,
    case when length is null then greatest(t - begun_at, begin - begun_at, 0)
        when begin > begun_at then greatest(length, begin - begun_at + 1) else length end as until, count(*) as n
from placed where length is null or begun_at + length >= begin group by all;

create or replace table survival as
with leaving as (
    select what, dim, seg, t, win, begin, until as age, sum(n) as gone from watched where gone and (since = 0 or until > since) group by all
), risk as (
    select l.*, sum(w.n) as there from leaving l join watched w using (what, dim, seg, t, win)
    where (w.since = 0 or (w.since < l.age and w.until > w.since)) and w.until >= l.age group by all
)
select *, bool_or(gone = there) over so_far as all_gone,
    exp(sum(case when gone < there then ln(1 - gone / there) else 0 end) over so_far) as staying
from risk window so_far as (partition by what, dim, seg, t, win order by age rows unbounded preceding);

create or replace view aida_answer as
select kpi, win, dim, seg, t, begin,
    case when den is null then num / num_unit
        when den <> 0 then (num / num_unit) / (den / den_unit) / case when kpi like 'lead_score%' then 100 else 1 end end as value,
    case when den is not null then num / num_unit end as num, den / den_unit as den
from aida_quotient
union all
select 'bottleneck', w.win, p.dim, p.seg, w.t, w.begin, s.n / w.n, coalesce(s.n, 0) / 1000, w.n / 1000
from spent w cross join (select distinct dim, seg from spent) p left join spent s on s.t = w.t and s.win = w.win and s.dim = p.dim
    and s.seg = p.seg where w.dim = 'total' and w.n > 0
union all
select 'sales_velocity', win, dim, seg, t, begin, case when cycle_millis > 0 then top / (cycle_millis / cycles / 86400000) / 10000 end,
    top / 10000, case when top is not null and cycles > 0 then cycle_millis / cycles / 86400000 end
from (select *, case when won + lost > 0 and won_sized > 0
    then cast(coalesce(o.n, 0) as double) * won / (won + lost) * won_amount / won_sized end as top
    from aida left join (select t, dim, seg, n from open_now) o using (t, dim, seg))
union all
select kpi.name, win, dim, seg, t, begin, min(age) / 1000, null, null
from survival join aida using (win, dim, seg, t, begin), unnest([
    {'name': 'time_to_close_first_quarter', 'what': 'deal_lengths', 'share': 0.25}, {'name': 'time_to_close', 'what': 'deal_lengths', 'share': 0.5},
    {'name': 'time_to_close_third_quarter', 'what': 'deal_lengths', 'share': 0.75}, {'name': 'stage_time', 'what': 'stage_lengths', 'share': 0.5},
    {'name': 'stage_time_third_quarter', 'what': 'stage_lengths', 'share': 0.75},
    {'name': 'stage_time_nine_of_ten', 'what': 'stage_lengths', 'share': 0.9}]) as kpis(kpi)
where survival.what = kpi.what and (all_gone or staying <= 1 - kpi.share + 1e-12)
    and case when kpi.what = 'deal_lengths' then won + lost else stages end >= 10
group by all;
