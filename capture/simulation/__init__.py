"""The simulated rig's laboratory: scenes, clocks, noise, faults and software cameras for `capture.devices.simulated`.

Read `twin` (cameras and stage), `play_scene` or `board_scene` (what is seen when), `timeline` (what the clocks say),
`player` (delivers), `outlets` (to librealsense software devices).
"""
