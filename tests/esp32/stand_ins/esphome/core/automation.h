#pragma once
// Who is called when something happens, and what users' automations do.
#include <functional>
#include <vector>

namespace esphome {

template<typename F> class LazyCallbackManager;
template<typename... Ts> class LazyCallbackManager<void(Ts...)> {
 public:
  template<typename F> void add(F &&callback) { this->callbacks_.emplace_back(std::forward<F>(callback)); }
  void call(Ts... values) {
    for (auto &callback : this->callbacks_)
      callback(values...);
  }

 private:
  std::vector<std::function<void(Ts...)>> callbacks_;
};

template<typename T> class Parented {
 protected:
  T *parent_{nullptr};
};

template<typename... Ts> class Action {
 public:
  virtual ~Action() = default;
  virtual void play(const Ts &...) = 0;
};

}  // namespace esphome
