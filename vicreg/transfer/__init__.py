"""Transfer to datasets that lie in folders of the user's: VOC07, Places205, iNaturalist 2018."""
