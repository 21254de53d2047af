keepFrames("runs/demo_small--usdr@1--irm--vocals-drums-bass-other.js",[
{"step":1.0,"frames":{"vocals uSDR":[1006],"drums uSDR":[771],"bass uSDR":[824],"other uSDR":[980]}},
{"step":1.0,"frames":{"vocals uSDR":[883],"drums uSDR":[1046],"bass uSDR":[875],"other uSDR":[834]}},
{"step":1.0,"frames":{"vocals uSDR":[881],"drums uSDR":[1122],"bass uSDR":[536],"other uSDR":[544]}},
{"step":1.0,"frames":{"vocals uSDR":[1174],"drums uSDR":[1147],"bass uSDR":[989],"other uSDR":[1082]}},
{"step":1.0,"frames":{"vocals uSDR":[932],"drums uSDR":[1180],"bass uSDR":[511],"other uSDR":[989]}},
{"step":1.0,"frames":{"vocals uSDR":[942],"drums uSDR":[732],"bass uSDR":[494],"other uSDR":[742]}}
]);
