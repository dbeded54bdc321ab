"""What each family's registers hold in the simulated system, by register key (an enum by its code)."""

from blupow_proxy.renogy import Family

from .world import World

type Content = dict[str, float | int | str | list[float]]

_THRESHOLDS: Content = {
    "overvoltage_threshold": 16.0,
    "charging_limit_voltage": 15.5,
    "equalization_voltage": 14.4,
    "boost_voltage": 14.4,
    "float_voltage": 13.8,
    "boost_return_voltage": 13.2,
    "overdischarge_return_voltage": 12.6,
    "undervoltage_warning": 12.0,
    "overdischarge_voltage": 11.1,
    "discharge_limit_voltage": 10.8,
    "overdischarge_delay": 5,
    "equalization_time": 120,
    "boost_time": 120,
    "equalization_interval": 30,
    "battery_type": 4,
}


def controller(world: World) -> Content:
    """A Rover 40 with a load."""
    today, total = world.today, world.total
    return {
        **_THRESHOLDS,
        "model": "RNG-CTRL-RVR40",
        "software_version": "V01.00.06",
        "hardware_version": "V01.00.03",
        "serial_number": "15010421",
        "device_address": 1,
        "battery_percentage": round(100 * world.soc),
        "battery_voltage": world.battery_v,
        "battery_current": world.controller_a,
        "controller_temperature": round(world.celsius + 8),
        "battery_temperature": round(world.celsius),
        "load_voltage": world.battery_v if world.load_on else 0,
        "load_current": world.load_a,
        "load_power": world.load_w,
        "pv_voltage": round(18.0 + 14.0 * world.sun, 1) if world.sun else 0,
        "pv_current": round(world.controller_w / 0.95 / (18.0 + 14.0 * world.sun), 2),
        "pv_power": world.controller_w,
        "load_switch": int(world.load_on),
        "battery_voltage_min_today": today.volts_low,
        "battery_voltage_max_today": today.volts_high,
        "max_charging_current_today": today.controller_peak_a,
        "max_discharging_current_today": today.load_peak_a,
        "max_charging_power_today": today.controller_peak_w,
        "max_discharging_power_today": today.load_peak_w,
        "charging_amp_hours_today": int(today.controller_ah),
        "discharging_amp_hours_today": int(today.load_ah),
        "power_generation_today": int(today.controller_wh),
        "power_consumption_today": int(today.load_wh),
        "operating_days": world.days,
        "over_discharge_count": 2,
        "full_charge_count": 154,
        "charging_amp_hours_total": int(total.controller_wh / 13.2),
        "discharging_amp_hours_total": int(total.load_wh / 13.2),
        "power_generation_total": int(total.controller_wh) / 1000,
        "power_consumption_total": int(total.load_wh) / 1000,
        "load_status": int(world.load_on),
        "charging_status": 2 if world.controller_a else 0,
        "system_voltage_setting": 12,
        "system_voltage": 12,
        "end_of_charge_soc": 100,
        "end_of_discharge_soc": 20,
        "load_working_mode": 15,
    }


def dcc(world: World) -> Content:
    """A 50 A DC-DC charger with its own panel."""
    today, total = world.today, world.total
    return {
        **_THRESHOLDS,
        "model": "RBC50D1S-G1",
        "software_version": "V01.00.02",
        "hardware_version": "V01.00.01",
        "serial_number": "20030117",
        "device_address": 1,
        "battery_percentage": round(100 * world.soc),
        "battery_voltage": world.battery_v,
        "total_charging_current": world.charger_a,
        "controller_temperature": round(world.celsius + 6),
        "battery_temperature": round(world.celsius),
        "alternator_voltage": 13.8 if world.alternator_a else 12.6,
        "alternator_current": world.alternator_a,
        "alternator_power": round(13.8 * world.alternator_a),
        "solar_voltage": 18.5 if world.charger_solar_a else 0,
        "solar_current": world.charger_solar_a,
        "charging_power_total": world.charger_w,
        "battery_voltage_min_today": today.volts_low,
        "battery_voltage_max_today": today.volts_high,
        "max_charging_current_today": today.charger_peak_a,
        "max_charging_power_today": today.charger_peak_w,
        "charging_amp_hours_today": int(today.charger_ah),
        "energy_generated_today": int(today.charger_wh) / 1000,
        "operating_days": world.days,
        "full_charge_count": 88,
        "charging_amp_hours_total": int(total.charger_wh / 13.2),
        "energy_generated_total": int(total.charger_wh) / 1000,
        "charging_status": 8 if world.alternator_a else 2 if world.charger_solar_a else 0,
        "output_power": world.charger_w,
        "charging_mode": 1 if world.alternator_a else 3 if world.charger_solar_a else 0,
        "ignition": int(world.alternator_a > 0),
        "max_charging_current": 50.0,
        "battery_capacity": 100,
        "system_voltage": 12,
    }


def battery(world: World) -> Content:
    """A 100 Ah pack of four cells."""
    charging = world.battery_a > 0
    return {
        "model": "RBT100LFP12S-G1",
        "serial_number": "22RBH4A051020000",
        "manufacture_version": "01",
        "mainline_version": "0001",
        "protocol_version": "19",
        "software_version": "V104",
        "device_address": 48,
        "cell_count": 4,
        "cell_voltage_n": [round(world.battery_v / 4, 1)] * 4,
        "temperature_count": 4,
        "temperature_n": [world.celsius] * 4,
        "bms_temperature": world.celsius + 2,
        "battery_current": world.battery_a,
        "battery_voltage": world.battery_v,
        "remaining_capacity": round(100.0 * world.soc, 3),
        "capacity": 100.0,
        "cycle_count": 42,
        "status1": 0x0006 if charging else 0x000E,
        "status2": (0x8000 if charging else 0x4000) | (0x0800 if world.soc >= 1.0 else 0),
        "charge_discharge_status": 0x00C0,
    }


def inverter(world: World) -> Content:
    """A REGO inverter on battery alone."""
    return {
        "model": "RIV1230RCH-SPS",
        "company": "RENOGY",
        "version": "V1.0*V2.1*V1.8",
        "device_address": 32,
        "ac_input_voltage": 0.0,
        "ac_input_current": 0.0,
        "ac_output_voltage": 120.1,
        "ac_output_current": round(world.inverter_va / 120.1, 2),
        "ac_output_frequency": 60.0,
        "battery_voltage": world.battery_v,
        "temperature": world.celsius + 12,
        "device_status": 0,
        "ac_input_frequency": 0.0,
        "battery_percentage": round(100 * world.soc),
        "charging_current": -world.inverter_a,
        "solar_voltage": 0.0,
        "solar_current": 0.0,
        "solar_power": 0,
        "charging_status": 0,
        "charging_power": 0,
        "fault_codes": [0, 0, 0, 0],
        "machine_state": 5,
        "bus_voltage": 198.2,
        "load_current": round(world.inverter_va / 120.1, 1),
        "load_active_power": world.inverter_w,
        "load_apparent_power": world.inverter_va,
        "line_charging_current": 0.0,
        "load_percentage": round(world.inverter_w / 30),
        "load_energy_today": round(world.today.inverter_wh / 1000, 1),
        "load_energy_total": round(812.4 + world.total.inverter_wh / 1000, 1),
        "pv_energy_today": 0.0,
        "pv_energy_total": 0.0,
        "battery_charge_ah_today": 0,
        "battery_discharge_ah_today": int(world.today.inverter_wh / 0.9 / 13.2),
        "battery_charge_ah_total": 0,
        "battery_discharge_ah_total": int((812_400 + world.total.inverter_wh) / 0.9 / 13.2),
    }


CONTENTS = {
    Family.CONTROLLER: controller,
    Family.DCC: dcc,
    Family.BATTERY: battery,
    Family.INVERTER: inverter,
}
