"""Bundles and evaluations in the console."""

from playwright.sync_api import expect

from tests.console.conftest import HOSTILE


def test_another_bundle_is_put_in_force_compared_and_taken_back(console):
    page = console.page
    console.sign_in()
    console.show("Models")
    in_force = page.locator(".card").filter(has=page.get_by_text("In force", exact=True))
    expect(in_force).to_contain_text("tiny")
    models = {one["name"]: one for one in console.service.get("/v1/models")["models"]}
    page.get_by_label("One", exact=True).select_option(models["fights"]["bundle_id"])
    page.get_by_label("Another", exact=True).select_option(models["sunglasses"]["bundle_id"])
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Accuracy", exact=True))
    figures = [models[name]["metrics"]["accuracy"] for name in ("fights", "sunglasses")]
    expect(row.get_by_role("cell")).to_have_text([f"{one:.4f}" for one in (*figures, figures[1] - figures[0])])
    page.get_by_text("Not measured on the same").wait_for()
    page.locator(".card").filter(has=page.get_by_role("heading", name="other")).get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("status")).to_have_text("Change of the bundle: done.")
    expect(in_force).to_contain_text("other")
    assert console.service.get("/v1/models")["models"][0]["name"] == "other"
    page.get_by_role("button", name="Back to tiny …").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back").click()
    expect(in_force).to_contain_text("tiny")
    assert console.service.get("/v1/models")["models"][0]["name"] == "tiny"


def test_an_evaluation_runs_and_its_calibration_is_put_in_force(console):
    page = console.page
    console.sign_in()
    console.show("Evaluation")
    page.get_by_label("Measured on").fill(HOSTILE)
    page.get_by_role("button", name="Evaluate").click()
    card = page.locator(".card").filter(has=page.get_by_role("heading", name=HOSTILE))
    expect(card).to_contain_text("Rank-1")
    with page.expect_popup() as opened:
        card.get_by_role("link", name="Open the report").click()
    expect(opened.value.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    opened.value.close()
    card.get_by_role("button", name="Calibrate with it").click()
    page.get_by_text("Its calibration is in force").wait_for()
    assert console.service.get("/v1/calibration")["domain"] == HOSTILE
    page.get_by_role("button", name="Back to the bundle's own").click()
    expect(page.locator("dl.wide")).to_contain_text("random vectors")
    assert console.service.get("/v1/calibration")["source"] == "bundle"
    card.get_by_role("button", name="Forget").click()
    expect(card).to_have_count(0)
