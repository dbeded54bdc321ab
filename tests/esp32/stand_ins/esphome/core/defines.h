#pragma once
#define USE_TEXT_SENSOR
