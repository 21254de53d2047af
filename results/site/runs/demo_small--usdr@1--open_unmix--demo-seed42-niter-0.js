keepFrames("runs/demo_small--usdr@1--open_unmix--demo-seed42-niter-0.js",[
{"step":1.0,"frames":{"vocals uSDR":[208],"drums uSDR":[262],"bass uSDR":[408],"other uSDR":[252]}},
{"step":1.0,"frames":{"vocals uSDR":[328],"drums uSDR":[629],"bass uSDR":[467],"other uSDR":[352]}},
{"step":1.0,"frames":{"vocals uSDR":[318],"drums uSDR":[760],"bass uSDR":[210],"other uSDR":[104]}},
{"step":1.0,"frames":{"vocals uSDR":[334],"drums uSDR":[774],"bass uSDR":[555],"other uSDR":[390]}},
{"step":1.0,"frames":{"vocals uSDR":[227],"drums uSDR":[620],"bass uSDR":[10],"other uSDR":[268]}},
{"step":1.0,"frames":{"vocals uSDR":[154],"drums uSDR":[337],"bass uSDR":[135],"other uSDR":[270]}}
]);
