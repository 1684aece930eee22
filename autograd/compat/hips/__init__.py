"""The modules of HIPS's autograd, so that programs written for it run unmodified.

They are imported as `autograd.numpy`, `autograd.scipy`, `autograd.extend` and so on: this folder is part of the path of
`autograd`, and nothing in it is loaded before a program asks for it.
"""
