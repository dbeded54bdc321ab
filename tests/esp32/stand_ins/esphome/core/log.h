#pragma once
#define ESP_LOGE(...) ((void) TAG)
#define ESP_LOGW(...) ((void) TAG)
#define ESP_LOGCONFIG(...) ((void) TAG)
