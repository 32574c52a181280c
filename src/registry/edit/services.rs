//! Service accounts and installations by command.

use super::{EditError, Edited, Editor, refuse};
use crate::model::{AccountId, ClientId, InstallationId, ServiceName};
use crate::password::NewPassword;
use crate::registry::{
    Change, Desired, DesiredPassword, DesiredService, Installation, InstallationSettings, ServiceAccount,
    ServiceSettings,
};

impl<'a> Editor<'a> {
    /// # Errors
    /// When there is one of the name, or no such account.
    pub fn create_service(&self, settings: ServiceSettings, password: &NewPassword) -> Edited {
        if let Some(known) = self.registry.service_accounts.get(&settings.name) {
            let name = &settings.name;
            return refuse(format!(
                "service account {name} exists already, in account {}; `scopegate service passwd` gives it another password",
                known.account
            ));
        }
        self.put_service(settings, Some(password))
    }

    /// # Errors
    /// When there is no such service account, or it would break a rule.
    pub fn change_service(&self, name: &ServiceName, change: impl FnOnce(&mut ServiceSettings)) -> Edited {
        let mut settings = self.service(name)?.settings();
        change(&mut settings);
        self.put_service(settings, None)
    }

    /// Changes nothing where it is the password already.
    ///
    /// # Errors
    /// When there is no such service account.
    pub fn set_password(&self, name: &ServiceName, password: &NewPassword) -> Edited {
        self.put_service(self.service(name)?.settings(), Some(password))
    }

    /// # Errors
    /// When there is no such service account.
    pub fn delete_service(&self, name: &ServiceName) -> Edited {
        self.service(name).map(|service| vec![Change::DeleteService(service.name.clone())])
    }

    /// # Errors
    /// When there is no such service account.
    pub fn service(&self, name: &ServiceName) -> Result<&'a ServiceAccount, EditError> {
        let found = self.registry.service_accounts.get(name);
        found.ok_or_else(|| EditError(format!("service account {name} does not exist")))
    }

    fn put_service(&self, settings: ServiceSettings, password: Option<&NewPassword>) -> Edited {
        let password = password.cloned().map(DesiredPassword::Plain);
        let service_accounts = vec![DesiredService { settings, password }];
        self.plan(&Desired { service_accounts, ..Desired::default() })
    }

    /// # Errors
    /// When the app or the account is not there, the app is on it already, or another installation has the number.
    pub fn install(&self, app: &ClientId, settings: InstallationSettings) -> Edited {
        if let Some(known) = self.installation_on(app, &settings.account)? {
            let (id, account) = (known.id, &settings.account);
            return refuse(format!("app {app} is installed on account {account} already, as installation {id}"));
        }
        self.put_installation(app, settings)
    }

    /// # Errors
    /// When there is no such installation.
    pub fn suspend(&self, id: InstallationId, suspended: bool) -> Edited {
        let installation = self.installation(id)?;
        self.put_installation(&installation.app, InstallationSettings { suspended, ..installation.settings() })
    }

    /// # Errors
    /// When there is no such installation.
    pub fn uninstall(&self, id: InstallationId) -> Edited {
        let installation = self.installation(id)?;
        Ok(vec![Change::DeleteInstallation { app: installation.app.clone(), id }])
    }

    /// # Errors
    /// When there is no such installation.
    pub fn installation(&self, id: InstallationId) -> Result<&'a Installation, EditError> {
        let mut all = self.registry.apps.values().flat_map(|app| &app.installations);
        all.find(|known| known.id == id).ok_or_else(|| {
            let app = self.registry.apps.values().find(|app| app.number.0 == id.get());
            let meant = app.map(|app| format!("; {id} is the number of app {}", app.settings.client_id));
            EditError(format!("installation {id} does not exist{}", meant.unwrap_or_default()))
        })
    }

    /// # Errors
    /// When there is no such app.
    pub fn installation_on(&self, app: &ClientId, account: &AccountId) -> Result<Option<&'a Installation>, EditError> {
        Ok(self.app(app)?.installations.iter().find(|known| known.account == *account))
    }

    fn put_installation(&self, app: &ClientId, settings: InstallationSettings) -> Edited {
        self.plan(&Desired { installations: vec![(app.clone(), settings)], ..Desired::default() })
    }
}
