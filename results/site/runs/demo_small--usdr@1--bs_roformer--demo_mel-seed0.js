keepFrames("runs/demo_small--usdr@1--bs_roformer--demo_mel-seed0.js",[
{"step":1.0,"frames":{"vocals uSDR":[201],"drums uSDR":[176],"bass uSDR":[401],"other uSDR":[237]}},
{"step":1.0,"frames":{"vocals uSDR":[223],"drums uSDR":[410],"bass uSDR":[385],"other uSDR":[289]}},
{"step":1.0,"frames":{"vocals uSDR":[215],"drums uSDR":[382],"bass uSDR":[79],"other uSDR":[168]}},
{"step":1.0,"frames":{"vocals uSDR":[269],"drums uSDR":[557],"bass uSDR":[525],"other uSDR":[291]}},
{"step":1.0,"frames":{"vocals uSDR":[171],"drums uSDR":[340],"bass uSDR":[85],"other uSDR":[261]}},
{"step":1.0,"frames":{"vocals uSDR":[272],"drums uSDR":[234],"bass uSDR":[112],"other uSDR":[289]}}
]);
