keepFrames("runs/demo_small--usdr@1--moises_light--demo-seed2.js",[
{"step":1.0,"frames":{"vocals uSDR":[207],"drums uSDR":[163],"bass uSDR":[363],"other uSDR":[237]}},
{"step":1.0,"frames":{"vocals uSDR":[220],"drums uSDR":[367],"bass uSDR":[340],"other uSDR":[217]}},
{"step":1.0,"frames":{"vocals uSDR":[260],"drums uSDR":[422],"bass uSDR":[130],"other uSDR":[123]}},
{"step":1.0,"frames":{"vocals uSDR":[194],"drums uSDR":[431],"bass uSDR":[448],"other uSDR":[244]}},
{"step":1.0,"frames":{"vocals uSDR":[184],"drums uSDR":[405],"bass uSDR":[118],"other uSDR":[219]}},
{"step":1.0,"frames":{"vocals uSDR":[219],"drums uSDR":[210],"bass uSDR":[119],"other uSDR":[240]}}
]);
