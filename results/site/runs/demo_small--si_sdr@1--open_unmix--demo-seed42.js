keepFrames("runs/demo_small--si_sdr@1--open_unmix--demo-seed42.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-38],"drums SI-SDR":[-89],"bass SI-SDR":[223],"other SI-SDR":[-112]}},
{"step":1.0,"frames":{"vocals SI-SDR":[156],"drums SI-SDR":[625],"bass SI-SDR":[385],"other SI-SDR":[116]}},
{"step":1.0,"frames":{"vocals SI-SDR":[53],"drums SI-SDR":[707],"bass SI-SDR":[-145],"other SI-SDR":[-281]}},
{"step":1.0,"frames":{"vocals SI-SDR":[184],"drums SI-SDR":[785],"bass SI-SDR":[482],"other SI-SDR":[246]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-227],"drums SI-SDR":[490],"bass SI-SDR":[-334],"other SI-SDR":[-39]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-22],"drums SI-SDR":[11],"bass SI-SDR":[-262],"other SI-SDR":[-100]}}
]);
