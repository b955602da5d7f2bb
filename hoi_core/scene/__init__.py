"""The scene that is rendered: hand skin, objects, light, background, motion and what the model cannot represent.

Shared by the simulated rig and by synthesis. World frame: origin on the table, z up, metres.
"""
