//! Which devices a worker is to compute on: one, or several of them in a process each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::choice::{DeviceChoice, DeviceError};
use super::cuda;

/// One device, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Devices {
    /// One. [`DeviceChoice::Auto`] stands for all cards where several can be used.
    One(DeviceChoice),
    /// Each of these; at least two.
    Each(Vec<DeviceChoice>),
    /// Every NVIDIA card.
    EveryCard,
}

impl Default for Devices {
    fn default() -> Self {
        Self::One(DeviceChoice::Auto)
    }
}

impl From<DeviceChoice> for Devices {
    fn from(device: DeviceChoice) -> Self {
        Self::One(device)
    }
}

impl FromStr for Devices {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        if text == "cuda:all" {
            return Ok(Self::EveryCard);
        }
        let named: Vec<DeviceChoice> =
            text.split(',').map(|name| name.trim().parse()).collect::<Result<_, _>>()?;
        match named.as_slice() {
            [device] => Ok(Self::One(*device)),
            several if several.contains(&DeviceChoice::Auto) => Err(DeviceError::Unknown(text.to_owned())),
            _ => Ok(Self::Each(named)),
        }
    }
}

impl TryFrom<String> for Devices {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

impl From<Devices> for String {
    fn from(devices: Devices) -> Self {
        devices.to_string()
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(device) => device.fmt(f),
            Self::Each(devices) => {
                let names: Vec<String> = devices.iter().map(ToString::to_string).collect();
                f.write_str(&names.join(","))
            }
            Self::EveryCard => f.write_str("cuda:all"),
        }
    }
}

impl Devices {
    /// The only one, for a process that computes itself; [`DeviceChoice::Auto`] is the first card there.
    ///
    /// # Errors
    /// [`DeviceError::Several`] where there are more.
    pub fn single(&self) -> Result<DeviceChoice, DeviceError> {
        match self {
            Self::One(device) => Ok(*device),
            _ => match self.resolved()?.as_slice() {
                [device] => Ok(*device),
                several => Err(DeviceError::Several(several.len())),
            },
        }
    }

    /// All of them, of which each gets a process where there are several.
    ///
    /// # Errors
    /// [`DeviceError`] where one of them is not there, or named twice.
    pub fn resolved(&self) -> Result<Vec<DeviceChoice>, DeviceError> {
        match self {
            Self::One(DeviceChoice::Auto) => match cuda::count() {
                Ok(found) if found > 1 => Ok((0..found).map(DeviceChoice::Cuda).collect()),
                _ => Ok(vec![DeviceChoice::Auto]),
            },
            Self::One(device) => Ok(vec![*device]),
            Self::EveryCard => {
                let found = cuda::count().map_err(DeviceError::NoCards)?;
                Ok((0..found).map(DeviceChoice::Cuda).collect())
            }
            Self::Each(devices) => {
                for (place, device) in devices.iter().enumerate() {
                    device.check_presence()?;
                    if let DeviceChoice::Cuda(number) = device
                        && devices[..place].contains(device)
                    {
                        return Err(DeviceError::Twice(*number));
                    }
                }
                Ok(devices.clone())
            }
        }
    }

    /// Whether no real device is among them.
    #[must_use]
    pub fn are_simulated(&self) -> bool {
        match self {
            Self::One(device) => *device == DeviceChoice::Simulated,
            Self::Each(devices) => devices.iter().all(|device| *device == DeviceChoice::Simulated),
            Self::EveryCard => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_by_name() {
        let simulated = DeviceChoice::Simulated;
        for (text, devices) in [
            ("auto", Devices::default()),
            ("cuda:1", Devices::One(DeviceChoice::Cuda(1))),
            ("cuda:all", Devices::EveryCard),
            ("cuda:0,cuda:3", Devices::Each(vec![DeviceChoice::Cuda(0), DeviceChoice::Cuda(3)])),
            ("simulated,simulated", Devices::Each(vec![simulated, simulated])),
        ] {
            assert_eq!(text.parse(), Ok(devices.clone()));
            assert_eq!(devices.to_string(), text);
        }
        for bad in ["", "cuda:x", "cpu,", "auto,cpu", "cuda:0;cuda:1"] {
            assert!(bad.parse::<Devices>().is_err(), "{bad}");
        }
    }

    #[test]
    fn several_are_for_several_processes() {
        let both: Devices = "cpu,simulated".parse().unwrap();
        assert_eq!(both.resolved().unwrap(), [DeviceChoice::Cpu, DeviceChoice::Simulated]);
        assert_eq!(both.single(), Err(DeviceError::Several(2)));
        assert!(!both.are_simulated());
        assert!("simulated,simulated".parse::<Devices>().unwrap().are_simulated());
    }

    #[test]
    fn cards_that_are_not_there_are_refused_before_any_process_starts() {
        let absent: Devices = "cuda:98,cuda:99".parse().unwrap();
        let said = absent.resolved().unwrap_err().to_string();
        assert!(said.starts_with("device \"cuda:98\" is asked for, but "), "{said}");
    }
}
