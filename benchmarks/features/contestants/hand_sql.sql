-- Variables: as_of (microseconds since 1970), events, contacts (paths).
WITH past AS (
    SELECT
        contact_id,
        event_type,
        value,
        getvariable('as_of') - epoch_us(occurred_at) AS age
    FROM read_parquet(getvariable('events'))
    WHERE occurred_at <= make_timestamp(getvariable('as_of')) AND event_type <> 'download'
),
by_rows AS (
    SELECT
        contact_id,
        count(*) FILTER (event_type = 'page_view' AND age < 7 * 86400000000) AS page_views_7d,
        count(*) FILTER (event_type = 'page_view' AND age < 30 * 86400000000) AS page_views_30d,
        count(*) FILTER (event_type = 'page_view' AND age < 60 * 86400000000) AS page_views_60d,
        count(*) FILTER (event_type = 'page_view' AND age < 90 * 86400000000) AS page_views_90d,
        count(*) FILTER (event_type = 'page_view' AND age < 365 * 86400000000) AS page_views_365d,
        count(*) FILTER (event_type = 'page_view') AS page_views,
        count(*) FILTER (event_type = 'purchase' AND age < 30 * 86400000000) AS purchases_30d,
        count(*) FILTER (event_type = 'purchase' AND age < 90 * 86400000000) AS purchases_90d,
        count(*) FILTER (event_type = 'purchase' AND age < 180 * 86400000000) AS purchases_180d,
        count(*) FILTER (event_type = 'purchase' AND age < 365 * 86400000000) AS purchases_365d,
        count(*) FILTER (event_type = 'purchase') AS purchases,
        count(*) FILTER (
            event_type = 'purchase' AND age < 365 * 86400000000 AND value > 50
        ) AS large_purchases_365d,
        count(*) FILTER (event_type = 'product_view' AND age < 30 * 86400000000) AS products_30d,
        count(*) FILTER (event_type = 'search' AND age < 90 * 86400000000) AS searches_90d,
        count(*) FILTER (event_type = 'login' AND age < 30 * 86400000000) AS logins_30d,
        count(*) FILTER (event_type = 'support_ticket') AS tickets,
        count(*) FILTER (event_type = 'add_to_cart' AND age < 90 * 86400000000) AS carts_90d,
        sum(value) FILTER (event_type = 'purchase' AND age < 30 * 86400000000) AS spent_30d,
        sum(value) FILTER (event_type = 'purchase' AND age < 90 * 86400000000) AS spent_90d,
        sum(value) FILTER (event_type = 'purchase' AND age < 365 * 86400000000) AS spent_365d,
        sum(value) FILTER (event_type = 'purchase') AS spent,
        sum(value) FILTER (event_type = 'add_to_cart' AND age < 90 * 86400000000) AS carted_90d,
        count(value) FILTER (event_type = 'purchase' AND age < 365 * 86400000000) AS priced_365d,
        count(value) FILTER (
            event_type = 'add_to_cart' AND age < 90 * 86400000000
        ) AS priced_carts_90d,
        max(value) FILTER (event_type = 'purchase' AND age < 365 * 86400000000) AS dearest_365d,
        max(value) FILTER (event_type = 'purchase') AS dearest,
        min(value) FILTER (event_type = 'purchase') AS cheapest,
        -- The value rides below the age: twice as fast as arg_min(value, (age, -value)).
        min(age::HUGEINT * 1000000000000000000 - (value * 10000)::HUGEINT) FILTER (
            event_type = 'purchase' AND value IS NOT NULL
        ) AS last_priced,
        min(age) FILTER (event_type = 'page_view') AS last_page_view,
        min(age) FILTER (event_type = 'purchase') AS last_purchase,
        min(age) FILTER (event_type = 'add_to_cart') AS last_cart,
        max(age) FILTER (event_type = 'page_view') AS first_page_view,
        max(age) FILTER (event_type = 'purchase') AS first_purchase
    FROM past
    GROUP BY contact_id
),
days AS (
    SELECT DISTINCT contact_id, event_type, (age // 86400000000)::SMALLINT AS day
    FROM past
    WHERE event_type IN ('page_view', 'purchase')
),
gaps AS (
    SELECT
        contact_id,
        event_type,
        day::BIGINT AS day,
        (day - lag(day) OVER (PARTITION BY contact_id, event_type ORDER BY day))::BIGINT AS gap
    FROM days
),
by_days AS (
    SELECT
        contact_id,
        count(*) FILTER (event_type = 'page_view' AND day < 30) AS page_days_30d,
        count(*) FILTER (event_type = 'page_view') AS page_days,
        count(*) FILTER (event_type = 'purchase') AS purchase_days,
        sum(gap) FILTER (event_type = 'page_view') AS page_span,
        sum(gap * gap) FILTER (event_type = 'page_view') AS page_squares,
        sum(gap) FILTER (event_type = 'purchase') AS purchase_span
    FROM gaps
    GROUP BY contact_id
)
SELECT
    contact_id,
    make_timestamp(getvariable('as_of')) AS as_of,
    coalesce(page_views_7d, 0)::DOUBLE AS page_view_count_7d,
    coalesce(page_views_30d, 0)::DOUBLE AS page_view_count_30d,
    coalesce(page_views_90d, 0)::DOUBLE AS page_view_count_90d,
    coalesce(page_views_365d, 0)::DOUBLE AS page_view_count_365d,
    coalesce(page_views, 0)::DOUBLE AS page_view_count,
    coalesce(purchases_30d, 0)::DOUBLE AS purchase_count_30d,
    coalesce(purchases_90d, 0)::DOUBLE AS purchase_count_90d,
    coalesce(purchases_365d, 0)::DOUBLE AS purchase_count_365d,
    coalesce(purchases, 0)::DOUBLE AS purchase_count,
    coalesce(products_30d, 0)::DOUBLE AS product_view_count_30d,
    coalesce(searches_90d, 0)::DOUBLE AS search_count_90d,
    coalesce(logins_30d, 0)::DOUBLE AS login_count_30d,
    coalesce(tickets, 0)::DOUBLE AS support_ticket_count,
    coalesce(page_views_30d + products_30d, 0)::DOUBLE AS view_count_30d,
    coalesce(large_purchases_365d, 0)::DOUBLE AS large_purchase_count_365d,
    coalesce(spent_30d::DOUBLE, 0) AS purchase_total_30d,
    coalesce(spent_90d::DOUBLE, 0) AS purchase_total_90d,
    coalesce(spent_365d::DOUBLE, 0) AS purchase_total_365d,
    coalesce(spent::DOUBLE, 0) AS purchase_total,
    coalesce(carted_90d::DOUBLE, 0) AS add_to_cart_total_90d,
    spent_365d::DOUBLE / nullif(priced_365d, 0) AS purchase_mean_365d,
    carted_90d::DOUBLE / nullif(priced_carts_90d, 0) AS add_to_cart_mean_90d,
    dearest_365d::DOUBLE AS purchase_maximum_365d,
    dearest::DOUBLE AS purchase_maximum,
    last_page_view / 86400000000.0::DOUBLE AS page_view_recency,
    last_purchase / 86400000000.0::DOUBLE AS purchase_recency,
    last_cart / 86400000000.0::DOUBLE AS add_to_cart_recency,
    first_page_view / 86400000000.0::DOUBLE AS page_view_first_touch,
    first_purchase / 86400000000.0::DOUBLE AS purchase_first_touch,
    coalesce(page_days_30d, 0)::DOUBLE AS page_view_days_active_30d,
    coalesce(page_days, 0)::DOUBLE AS page_view_days_active,
    coalesce(purchase_days, 0)::DOUBLE AS purchase_days_active,
    page_span::DOUBLE / nullif(page_days - 1, 0) AS page_view_gap_mean,
    purchase_span::DOUBLE / nullif(purchase_days - 1, 0) AS purchase_gap_mean,
    CASE WHEN page_days >= 3 THEN sqrt(
        ((page_days - 1) * page_squares - page_span * page_span)::DOUBLE
        / ((page_days - 1) * (page_days - 2))
    ) END AS page_view_gap_std,
    ln(
        (1 + coalesce(page_views_30d, 0))::DOUBLE
        / (1 + coalesce(page_views_60d - page_views_30d, 0))
    ) AS page_view_trend_30d,
    ln(
        (1 + coalesce(purchases_90d, 0))::DOUBLE
        / (1 + coalesce(purchases_180d - purchases_90d, 0))
    ) AS purchase_trend_90d,
    purchases_90d::DOUBLE / nullif(carts_90d, 0) AS purchase_count_90d_per_add_to_cart_count_90d,
    cheapest::DOUBLE AS purchase_minimum,
    (1000000000000000000 - last_priced % 1000000000000000000) % 1000000000000000000 / 10000.0
        AS purchase_last
FROM read_parquet(getvariable('contacts'))
LEFT JOIN by_rows USING (contact_id)
LEFT JOIN by_days USING (contact_id)
WHERE created_at IS NULL OR created_at <= make_timestamp(getvariable('as_of'))
ORDER BY contact_id
