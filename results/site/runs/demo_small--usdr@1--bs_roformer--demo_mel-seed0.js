keepFrames("runs/demo_small--usdr@1--bs_roformer--demo_mel-seed0.js",[
{"step":1.0,"frames":{"vocals uSDR":[122],"drums uSDR":[180],"bass uSDR":[389],"other uSDR":[204]}},
{"step":1.0,"frames":{"vocals uSDR":[197],"drums uSDR":[488],"bass uSDR":[435],"other uSDR":[258]}},
{"step":1.0,"frames":{"vocals uSDR":[291],"drums uSDR":[434],"bass uSDR":[91],"other uSDR":[186]}},
{"step":1.0,"frames":{"vocals uSDR":[62],"drums uSDR":[565],"bass uSDR":[503],"other uSDR":[197]}},
{"step":1.0,"frames":{"vocals uSDR":[185],"drums uSDR":[324],"bass uSDR":[76],"other uSDR":[242]}},
{"step":1.0,"frames":{"vocals uSDR":[252],"drums uSDR":[212],"bass uSDR":[98],"other uSDR":[266]}}
]);
