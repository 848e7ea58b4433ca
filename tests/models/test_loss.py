"""The loss of any architecture, as it is logged."""

from yolo3.models.loss import loss_row


def test_the_displayed_loss_excludes_the_floor_of_the_centres():
    terms = {"xy": 2.5, "wh": 1.0, "objectness": 0.5, "no_object": 0.25, "class": 0.125, "xy_floor": 2.0}
    # xy 2.5 - 2 = .5; the sum .5 + 1 + .5 + .25 + .125 = 2.375.
    row = loss_row(terms, ("xy", "wh", "objectness", "no_object", "class"), prefix="val_")
    parts = {"val_xy": 0.5, "val_wh": 1.0, "val_objectness": 0.5, "val_no_object": 0.25, "val_class": 0.125}
    assert row == {"val_loss": 2.375} | parts
    assert list(row)[0] == "val_loss" and terms["xy"] == 2.5
