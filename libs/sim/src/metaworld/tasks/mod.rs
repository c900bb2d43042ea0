//! The tasks, one file each. To add one: write its file, and add its two names here.

use super::stage::Playable;
use crate::environment::Environment;

macro_rules! tasks {
    ($($file:ident :: $task:ident),* $(,)?) => {
        $(mod $file;)*

        /// Every task, in the order in which they are shown.
        pub(super) fn all() -> Vec<Box<dyn Environment>> {
            vec![$(Box::new(Playable::<$file::$task>::new())),*]
        }

        #[cfg(test)]
        mod tests {
            use super::*;
            use crate::{assets::Assets, diagnostics, metaworld::{stage::copied_parking_differs, task::Task as _}};

            /// Holds every `PARKS_ALIKE`, in both directions.
            #[test]
            fn a_copied_parked_arm_is_one_that_was_parked_in_the_episodes_own_world_exactly_where_tasks_say_so() {
                diagnostics::install();
                let assets = Assets::find(None).expect("`make setup` fetches the assets");
                $(
                    let differs = copied_parking_differs::<$file::$task>(&assets).expect("the task loads");
                    let (name, alike) = ($file::$task::NAME, $file::$task::PARKS_ALIKE);
                    assert_eq!(differs.is_none(), alike, "{name}: (seed, step) {differs:?}");
                )*
            }
        }
    };
}

tasks![
    reach::Reach,
    push::Push,
    drawer_close::DrawerClose,
    assembly::Assembly,
    basketball::Basketball,
    bin_picking::BinPicking,
    box_close::BoxClose,
    button_press::ButtonPress,
    button_press_topdown::ButtonPressTopdown,
    button_press_topdown_wall::ButtonPressTopdownWall,
    button_press_wall::ButtonPressWall,
    coffee_button::CoffeeButton,
    coffee_pull::CoffeePull,
    coffee_push::CoffeePush,
    dial_turn::DialTurn,
    disassemble::Disassemble,
    door_close::DoorClose,
    door_lock::DoorLock,
    door_open::DoorOpen,
    door_unlock::DoorUnlock,
    drawer_open::DrawerOpen,
    faucet_close::FaucetClose,
    faucet_open::FaucetOpen,
    hammer::Hammer,
    hand_insert::HandInsert,
    handle_press::HandlePress,
    handle_press_side::HandlePressSide,
    handle_pull::HandlePull,
    handle_pull_side::HandlePullSide,
    lever_pull::LeverPull,
    peg_insert_side::PegInsertSide,
    peg_unplug_side::PegUnplugSide,
    pick_out_of_hole::PickOutOfHole,
    pick_place::PickPlace,
    pick_place_wall::PickPlaceWall,
    plate_slide::PlateSlide,
    plate_slide_back::PlateSlideBack,
    plate_slide_back_side::PlateSlideBackSide,
    plate_slide_side::PlateSlideSide,
    push_back::PushBack,
    push_wall::PushWall,
    reach_wall::ReachWall,
    shelf_place::ShelfPlace,
    soccer::Soccer,
    stick_pull::StickPull,
    stick_push::StickPush,
    sweep::Sweep,
    sweep_into::SweepInto,
    window_close::WindowClose,
    window_open::WindowOpen,
];
