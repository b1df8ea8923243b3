"""The vocabulary: every touchpoint type is whole, and its foreign names are spelled as their owners spell them."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from journey.documents import load_yaml
from journey.vocabulary import company_types
from schemas import vocabulary_document

SCHEMAS = Path(__file__).parents[2] / "schemas"
VOCABULARY: dict[str, Any] = load_yaml((SCHEMAS / "vocabulary.yaml").read_text(encoding="utf-8"))
TYPES: dict[str, Any] = VOCABULARY["types"]

# The names that exist, written down apart from the vocabulary.
SPECIFIED = {
    # Segment: e-commerce spec v2, then the e-mail and B2B SaaS specs.
    "segment": """
        Products Searched|Product List Viewed|Product List Filtered|Promotion Viewed|Promotion Clicked|Product Clicked
        Product Viewed|Product Added|Product Removed|Cart Viewed|Checkout Started|Checkout Step Viewed
        Checkout Step Completed|Payment Info Entered|Order Completed|Order Updated|Order Refunded|Order Cancelled
        Coupon Entered|Coupon Applied|Coupon Denied|Coupon Removed|Product Added to Wishlist
        Product Removed from Wishlist|Wishlist Product Added to Cart|Product Shared|Cart Shared|Product Reviewed
        Email Bounced|Email Delivered|Email Link Clicked|Email Marked as Spam|Email Opened|Unsubscribed
        Account Created|Account Deleted|Signed Up|Signed In|Signed Out|Invite Sent|Trial Started|Trial Ended
        """,
    # Google Analytics 4: recommended events, automatically collected ones, enhanced measurement.
    "ga4": """
        add_payment_info|add_shipping_info|add_to_cart|add_to_wishlist|begin_checkout|purchase|refund|remove_from_cart
        select_item|select_promotion|view_cart|view_item|view_item_list|view_promotion|generate_lead|qualify_lead
        disqualify_lead|working_lead|close_convert_lead|close_unconvert_lead|earn_virtual_currency|join_group|login
        search|select_content|share|sign_up|spend_virtual_currency|ad_impression|ad_click|page_view|file_download
        form_start|form_submit|video_start|video_progress|video_complete|view_search_results|click|scroll
        """,
    # Shopify: topics of the Admin API's webhooks.
    "shopify": """
        carts/create|carts/update|checkouts/create|checkouts/update|checkouts/delete|customers/create|customers/update
        customers_email_marketing_consent/update|draft_orders/create|draft_orders/update|fulfillments/create
        fulfillments/update|fulfillment_events/create|fulfillment_orders/line_items_prepared_for_pickup
        order_transactions/create|orders/cancelled|orders/create|orders/edited|orders/fulfilled|orders/paid
        orders/updated|refunds/create|returns/approve|returns/close|returns/request|disputes/create
        """,
    # Snowplow: types of snowplow_ecommerce_action 1-0-2, then Snowplow's own events.
    "snowplow": """
        add_to_cart|remove_from_cart|product_view|list_click|list_view|promo_click|promo_view|checkout_step|transaction
        refund|trns_error|page_view|site_search|social_interaction|ad_impression|ad_click
        """,
}


def known(owner: str) -> set[str]:
    return {name for line in SPECIFIED[owner].split("\n") for name in line.strip().split("|") if name}


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_whole(name: str) -> None:
    type_ = TYPES[name]
    assert set(type_) == {"label", "phases", "channel", "initiator", "service_mode", "names"}
    assert set(type_["label"]) == {"en", "fr"}
    assert all(type_["label"].values())
    assert type_["phases"] == [phase for phase in ("before", "during", "after") if phase in type_["phases"]] != []
    assert type_["channel"] in VOCABULARY["channels"]
    assert type_["initiator"] in {"customer", "company"}
    assert type_["service_mode"] in {"human", "self_service", "automated", "community"}
    assert set(type_["names"]) == set(SPECIFIED)


@pytest.mark.parametrize("owner", SPECIFIED)
def test_a_foreign_name_is_spelled_as_its_owner_spells_it_and_means_one_type(owner: str) -> None:
    names = Counter(name for type_ in TYPES.values() for name in type_["names"][owner] or [])
    assert set(names) <= known(owner)
    assert set(names.values()) == {1}


@pytest.mark.parametrize(
    ("owner", "name", "type_"),
    [
        ("segment", "Order Completed", "order_completed"),
        ("segment", "Product Added", "product_added"),
        ("segment", "Product Reviewed", "review_submitted"),
        ("ga4", "purchase", "order_completed"),
        ("ga4", "begin_checkout", "order_started"),
        ("ga4", "view_item", "product_viewed"),
        ("shopify", "orders/create", "order_completed"),
        ("shopify", "refunds/create", "order_refunded"),
        ("snowplow", "transaction", "order_completed"),
        ("snowplow", "product_view", "product_viewed"),
    ],
)
def test_what_others_send_is_read_back(owner: str, name: str, type_: str) -> None:
    assert name in TYPES[type_]["names"][owner]


@pytest.mark.parametrize(
    ("phase", "types"),
    [
        ("before", "ad_clicked direct_mail_sent media_ad_noticed poster_noticed web_search_performed article_read"),
        (
            "before",
            "social_post_viewed products_compared product_list_viewed catalogue_viewed store_visited product_tried",
        ),
        ("before", "brochure_received faq_viewed case_study_viewed demo_requested quote_requested word_of_mouth_heard"),
        (
            "during",
            "product_added order_started order_completed payment_completed pickup_slot_booked fulfilment_chosen",
        ),
        ("during", "delivery_promised delivery_completed delivery_late order_collected"),
        ("after", "call_ended complaint_submitted complaint_answered order_returned exchange_completed order_refunded"),
        ("after", "repair_completed newsletter_sent loyalty_joined offer_sent offer_opened survey_answered"),
        ("after", "review_submitted recommendation_made referral_sent forum_post_published"),
    ],
)
def test_the_words_of_each_phase_are_there(phase: str, types: str) -> None:
    for name in types.split():
        assert phase in TYPES[name]["phases"], name


def test_companies_speak_too_and_every_kind_of_service_is_there() -> None:
    assert sum(type_["initiator"] == "company" for type_ in TYPES.values()) >= 20
    assert {type_["service_mode"] for type_ in TYPES.values()} == {"human", "self_service", "automated", "community"}
    assert {type_["channel"] for type_ in TYPES.values()} >= set(VOCABULARY["channels"]) - {"app", "drive", "chat"}


def test_what_the_company_starts_is_told_from_what_its_customers_do() -> None:
    companys = company_types(vocabulary_document())
    assert "newsletter_sent" in companys
    assert "newsletter_opened" not in companys
